//go:build !linux

package wholedir

func exchange(string, string) error { return errNoExchange }
