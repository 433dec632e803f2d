package tokenizer

import "sync"

// byteAlphabet is the table of byte-level vocabularies (GPT-2, encoder.py): printable bytes of Latin-1 stand for
// themselves, the others for the characters from U+0100 on.
var byteAlphabet = sync.OnceValue(func() *[256]rune {
	var table [256]rune
	next := rune(256)
	for b := range table {
		switch {
		case '!' <= b && b <= '~', 0xa1 <= b && b <= 0xac, 0xae <= b && b <= 0xff:
			table[b] = rune(b)
		default:
			table[b] = next
			next++
		}
	}
	return &table
})

// byteTokens are the characters of byteAlphabet as strings.
var byteTokens = sync.OnceValue(func() *[256]string {
	var table [256]string
	for b, r := range byteAlphabet() {
		table[b] = string(r)
	}
	return &table
})

func byteToken(b byte) string { return byteTokens()[b] }

// byteOfRune is the byte that a character of a byte-level vocabulary stands for, -1 for other characters.
var byteOfRune = sync.OnceValue(func() *[512]int16 {
	var table [512]int16
	for i := range table {
		table[i] = -1
	}
	for b, r := range byteAlphabet() {
		table[r] = int16(b)
	}
	return &table
})

// appendBytes appends the bytes that a byte-level token stands for; ok is false if one of its characters stands for none.
func appendBytes(dst []byte, token string) (out []byte, ok bool) {
	table := byteOfRune()
	n := len(dst)
	for _, r := range token {
		if r >= 512 || table[r] < 0 {
			return dst[:n], false
		}
		dst = append(dst, byte(table[r]))
	}
	return dst, true
}
