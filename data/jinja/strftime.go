package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftime is the clock in the words of a C format, as glibc writes it in the C locale. "%-d" leaves the padding out.
func (r *run) strftime(format *Str) (Value, error) {
	now := r.now
	if now.IsZero() {
		now = time.Now()
	}
	if err := r.spend(32 + 32*len(format.s)); err != nil {
		return nil, err
	}
	var b strings.Builder
	f := format.s
	for i := 0; i < len(f); i++ {
		if f[i] != '%' || i+1 == len(f) {
			b.WriteByte(f[i])
			continue
		}
		i++
		pad := true
		if f[i] == '-' && i+1 < len(f) {
			pad = false
			i++
		}
		b.WriteString(timePart(now, f[i], pad))
	}
	return plain(b.String()), nil
}

func timePart(t time.Time, c byte, pad bool) string {
	n := func(v, width int, fill string) string {
		s := strconv.Itoa(v)
		if pad && len(s) < width {
			s = strings.Repeat(fill, width-len(s)) + s
		}
		return s
	}
	hour12 := (t.Hour()+11)%12 + 1
	year, week := t.ISOWeek()
	switch c {
	case 'a':
		return t.Format("Mon")
	case 'A':
		return t.Format("Monday")
	case 'b', 'h':
		return t.Format("Jan")
	case 'B':
		return t.Format("January")
	case 'd':
		return n(t.Day(), 2, "0")
	case 'e':
		return n(t.Day(), 2, " ")
	case 'm':
		return n(int(t.Month()), 2, "0")
	case 'y':
		return n(t.Year()%100, 2, "0")
	case 'Y':
		return strconv.Itoa(t.Year())
	case 'C':
		return n(t.Year()/100, 2, "0")
	case 'H':
		return n(t.Hour(), 2, "0")
	case 'k':
		return n(t.Hour(), 2, " ")
	case 'I':
		return n(hour12, 2, "0")
	case 'l':
		return n(hour12, 2, " ")
	case 'M':
		return n(t.Minute(), 2, "0")
	case 'S':
		return n(t.Second(), 2, "0")
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000)
	case 'p':
		return t.Format("PM")
	case 'P':
		return strings.ToLower(t.Format("PM"))
	case 'j':
		return n(t.YearDay(), 3, "0")
	case 'w':
		return strconv.Itoa(int(t.Weekday()))
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1)
	case 'U':
		return n((t.YearDay()+6-int(t.Weekday()))/7, 2, "0")
	case 'W':
		return n((t.YearDay()+6-(int(t.Weekday())+6)%7)/7, 2, "0")
	case 'G':
		return strconv.Itoa(year)
	case 'V':
		return n(week, 2, "0")
	case 'F':
		return t.Format("2006-01-02")
	case 'D', 'x':
		return t.Format("01/02/06")
	case 'T', 'X':
		return t.Format("15:04:05")
	case 'R':
		return t.Format("15:04")
	case 'r':
		return t.Format("03:04:05 PM")
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006")
	case 's':
		return strconv.FormatInt(t.Unix(), 10)
	case 'z', 'Z': // the clock has no zone, as Python's datetime.now()
		return ""
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '%':
		return "%"
	}
	return "%" + string(c)
}
