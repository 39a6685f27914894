package component

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// text passes over the string that begins here and returns what it says.
func (c *checker) text() []byte {
	begin, escaped := c.at, false
	for c.at++; c.in[c.at] != '"'; c.at++ {
		if c.in[c.at] == '\\' {
			escaped = true
			c.at++
		}
	}
	c.at++
	if !escaped {
		return c.in[begin+1 : c.at-1 : c.at-1]
	}
	var s string
	_ = json.Unmarshal(c.in[begin:c.at], &s) // the whole was found valid
	return []byte(s)
}

func (c *checker) checkString(n *node, s []byte) {
	if n.MinLength != nil || n.MaxLength != nil {
		c.count("characters", utf8.RuneCount(s), n.MinLength, n.MaxLength)
	}
	if n.pattern != nil && !n.pattern.Match(s) {
		c.faultf("does not match %s", n.Pattern)
	}
	if len(n.Enum) > 0 {
		for _, e := range n.Enum {
			var want string
			if e[0] == '"' && json.Unmarshal(e, &want) == nil && want == string(s) {
				return
			}
		}
		c.faultf("is not one of %s", bytes.Join(rawList(n.Enum), []byte(", ")))
	}
}

// checkEnum checks a number, a boolean or null.
func (c *checker) checkEnum(n *node, raw []byte) {
	if len(n.Enum) == 0 {
		return
	}
	for _, e := range n.Enum {
		if bytes.Equal(e, raw) {
			return
		}
	}
	c.faultf("is not one of %s", bytes.Join(rawList(n.Enum), []byte(", ")))
}

func rawList(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out
}

// checkNumber checks the bounds of a number. An integer also has to fit into
// 64 bits, signed or, if it cannot be negative, unsigned; any other number into
// a float64. (The bounds of 64 bits are not in the schema: a float64 cannot say them.)
func (c *checker) checkNumber(n *node, raw []byte, got types) {
	x, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		if n.types != anyType {
			c.faultf("is out of the range of a number")
		}
		return
	}
	if got == typeInteger && n.types&typeInteger != 0 && n.types&typeString == 0 {
		if n.Minimum != nil && *n.Minimum >= 0 {
			_, err = strconv.ParseUint(string(raw), 10, 64)
		} else {
			_, err = strconv.ParseInt(string(raw), 10, 64)
		}
		if errors.Is(err, strconv.ErrRange) {
			c.faultf("is out of the range of a 64-bit integer")
			return
		}
	}
	switch {
	case n.Minimum != nil && x < *n.Minimum:
		c.faultf("is less than %s", number(*n.Minimum))
	case n.Maximum != nil && x > *n.Maximum:
		c.faultf("is more than %s", number(*n.Maximum))
	case n.ExclusiveMinimum != nil && x <= *n.ExclusiveMinimum:
		c.faultf("is not more than %s", number(*n.ExclusiveMinimum))
	case n.ExclusiveMaximum != nil && x >= *n.ExclusiveMaximum:
		c.faultf("is not less than %s", number(*n.ExclusiveMaximum))
	}
}

// number writes whole numbers without an exponent.
func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

func (c *checker) count(what string, got int, least, most *int) {
	if least != nil && got < *least {
		c.faultf("has %d %s, want %d at least", got, what, *least)
	}
	if most != nil && got > *most {
		c.faultf("has %d %s, want %d at most", got, what, *most)
	}
}

// keySet is the keys of one object so far. Few are compared one by one, which
// costs less than a map; they lie on a stack that the objects around it share.
type keySet struct {
	c    *checker
	base int // of the object's keys in c.keys
	many map[string]bool
}

// add reports whether key is new.
func (s *keySet) add(key []byte) bool {
	const few = 16
	switch {
	case s.has(string(key)):
		return false
	case s.many != nil:
		s.many[string(key)] = true
		return true
	}
	s.c.keys = append(s.c.keys, key)
	if own := s.c.keys[s.base:]; len(own) > few {
		s.many = make(map[string]bool, 4*few)
		for _, k := range own {
			s.many[string(k)] = true
		}
	}
	return true
}

func (s *keySet) has(key string) bool {
	if s.many != nil {
		return s.many[key]
	}
	for _, k := range s.c.keys[s.base:] {
		if string(k) == key {
			return true
		}
	}
	return false
}

func (s *keySet) len() int { return max(len(s.c.keys)-s.base, len(s.many)) }

// drop takes the object's keys off the stack.
func (s *keySet) drop() { s.c.keys = s.c.keys[:s.base] }
