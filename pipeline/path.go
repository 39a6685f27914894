package pipeline

import (
	"context"
	"path/filepath"
)

// Path returns the path of a file that the definition of the step which ctx belongs
// to names: a relative one starts at Env.Dir, or else at Definition.Dir, which is the directory of the
// pipeline's file. With neither, and outside a step, it is returned as it is, and so starts
// at the working directory of the process. An empty name stays empty.
//
// Methods that take paths of files call it, so that a pipeline works from wherever it is
// started, and on whatever machine a step of it is run.
func Path(ctx context.Context, name string) string {
	s, _ := scopeOf(ctx)
	if name == "" || s.dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

// Dir returns the directory from which relative paths start in the step that ctx
// belongs to, or "": the working directory of the process. See [Path].
func Dir(ctx context.Context) string {
	s, _ := scopeOf(ctx)
	return s.dir
}
