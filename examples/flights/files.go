package flights

import (
	"embed"
	"io/fs"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/pipeline"
)

//go:embed pipeline.yaml schema.sql features.sql data/flights.csv data/airports.csv
var files embed.FS

// Files returns pipeline.yaml and the files that it names, which are part of the
// program. Steps read files by their path: copy them into a directory (os.CopyFS), which is then the
// definition's Dir.
func Files() fs.FS { return files }

// YAML returns the definition that pipeline.yaml has, with its files in dir. Its
// steps use the components of the package builtin and that of [Factory].
func YAML(dir string) (pipeline.Definition, error) {
	src, err := files.ReadFile("pipeline.yaml")
	if err != nil {
		return pipeline.Definition{}, err
	}
	own, err := Methods()
	if err != nil {
		return pipeline.Definition{}, err
	}
	d, err := pipeline.Parse("pipeline.yaml", src, append(builtin.Methods(), own...))
	d.Dir = dir
	return d, err
}

// Methods returns what the component of [Factory] can do, for [pipeline.Parse].
func Methods() ([]pipeline.Method, error) {
	l, err := component.New(component.Config{Factories: []component.Factory{Factory(nil)}})
	if err != nil {
		return nil, err
	}
	return pipeline.MethodsOf(l, nil), nil
}
