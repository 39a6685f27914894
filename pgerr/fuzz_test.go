package pgerr

import (
	"errors"
	"fmt"
	"testing"
)

// treeFrom builds an error tree from bytes: a small stack machine that pushes
// the leaves of shapes, wraps the top, or joins the top two.
func treeFrom(program []byte) error {
	leaves := shapes()
	var stack []error
	for i, b := range program {
		if i == 200 {
			break
		}
		n := len(stack)
		switch {
		case b < 0xc0 || n == 0:
			stack = append(stack, leaves[int(b)%len(leaves)].err)
		case b < 0xd0 && stack[n-1] != nil:
			stack[n-1] = fmt.Errorf("wrap: %w", stack[n-1])
		case b < 0xe0:
			stack[n-1] = &safeError{inner: stack[n-1]}
		case n > 1:
			joined := errors.Join(stack[n-2], stack[n-1])
			stack = append(stack[:n-2], joined)
		}
	}
	return errors.Join(stack...)
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte(nil))
	for i := range len(shapes()) {
		f.Add([]byte{byte(i), 0xc0, byte(i + 7), 0xe0, 0xd0})
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		err := treeFrom(program)
		v := Classify(err)
		checkVerdict(t, v)
		if (err == nil) != (v == Verdict{}) {
			t.Errorf("Classify(%v) = %+v", err, v)
		}
		// One more wrapper adds nothing, whatever it claims about safety.
		if err != nil {
			if again := Classify(&safeError{inner: err}); again != v && v.Category != CategoryUnknown {
				t.Errorf("wrapped, the verdict turned from %+v to %+v", v, again)
			}
		}
	})
}
