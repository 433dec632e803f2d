package ptytest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pair opens both ends of a pseudo-terminal (ptmx(4)): other reads what a program writes to tty.
func pair(columns int) (other, tty *os.File, err error) {
	if other, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	fd := int(other.Fd())
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)})
	}
	if err != nil {
		return nil, nil, errors.Join(err, other.Close())
	}
	return other, tty, nil
}
