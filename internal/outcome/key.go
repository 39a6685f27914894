package outcome

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

const maxKeyLen = 1024

// CheckKey returns what is wrong with the key of a Once, or nil: it has 1 to
// 1,024 bytes of UTF-8, none of them zero.
func CheckKey(key string) error {
	switch {
	case key == "":
		return errors.New("perdure: the key of a Once is empty")
	case len(key) > maxKeyLen:
		return fmt.Errorf("perdure: the key of a Once has %d bytes: at most %d", len(key), maxKeyLen)
	case !utf8.ValidString(key):
		return errors.New("perdure: the key of a Once is not UTF-8")
	}
	for i := range len(key) {
		if key[i] == 0 {
			return errors.New("perdure: the key of a Once holds a zero byte")
		}
	}
	return nil
}
