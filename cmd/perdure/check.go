package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pipeline"
)

// checkReport is the JSON of check.
type checkReport struct {
	OK     bool           `json:"ok"`
	Files  int            `json:"files"`
	Faults []checkedFault `json:"faults"`
}

// checkedFault is a fault, all of its fields there.
type checkedFault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

func (a *app) checkCommand() *cobra.Command {
	var schema bool
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Find every fault of pipelines in YAML, each with line and column",
		Long: "check reads pipelines and names all faults of each file at once. Of a directory it reads the files\n" +
			"*.yaml and *.yml. It exits with 3 if there is a fault. With --schema it prints the JSON schema of such a file.",
		Example: "  perdure check pipeline.yaml\n  perdure check --schema > pipeline.schema.json",
		RunE: func(_ *cobra.Command, args []string) error {
			if schema {
				if len(args) > 0 {
					return usageError("--schema takes no files")
				}
				b, err := pipeline.Schema()
				if err != nil {
					return err
				}
				_, err = a.out.Write(b)
				return err
			}
			if len(args) == 0 {
				return usageError("requires at least one file or directory")
			}
			return a.check(args)
		},
	}
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON schema of a pipeline's file")
	return cmd
}

func (a *app) check(args []string) error {
	files, err := pipelineFiles(args)
	if err != nil {
		return err
	}
	r := checkReport{Files: len(files), Faults: []checkedFault{}}
	for _, file := range files {
		_, err := readPipeline(file)
		faults, ok := errors.AsType[pipeline.FaultsError](err)
		if err != nil && !ok {
			return err
		}
		for _, f := range faults {
			r.Faults = append(r.Faults, checkedFault(f))
		}
	}
	r.OK = len(r.Faults) == 0
	if a.output == "json" {
		err = writeJSON(a.out, r)
	} else {
		err = a.printCheck(r)
	}
	if err == nil && !r.OK {
		err = &exitError{code: exitInvalid, err: fmt.Errorf("%s in %s", counted(len(r.Faults), "fault"), counted(r.Files, "file"))}
	}
	return err
}

func (a *app) printCheck(r checkReport) error {
	if r.OK {
		_, err := fmt.Fprintf(a.out, "%s  %s\n", a.color("OK", green), counted(r.Files, "file"))
		return err
	}
	g := grid{rows: [][]string{{"PLACE", "PATH", "FAULT"}}}
	for _, f := range r.Faults {
		g.rows = append(g.rows, []string{fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column), f.Path, f.Message})
	}
	return g.write(a.out)
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(int64(n)) + " " + noun
}

// pipelineFiles returns the files that were named, and those in directories that
// were.
func pipelineFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, &exitError{code: exitInvalid, err: err}
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, &exitError{code: exitInvalid, err: err}
		}
		before := len(files)
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && slices.Contains([]string{".yaml", ".yml"}, ext) {
				files = append(files, filepath.Join(arg, e.Name()))
			}
		}
		if len(files) == before {
			return nil, &exitError{code: exitInvalid, err: fmt.Errorf("%s: no *.yaml or *.yml in the directory", arg)}
		}
	}
	return files, nil
}

// readPipeline parses a file. Its error is pipeline.FaultsError, or says why the file
// cannot be read.
func readPipeline(file string) (pipeline.Definition, error) {
	src, err := readAtMost(file, maxPipelineFile)
	if err != nil {
		return pipeline.Definition{}, &exitError{code: exitInvalid, err: err}
	}
	d, err := pipeline.Parse(file, src, methods())
	if err != nil {
		return pipeline.Definition{}, err
	}
	d.Dir, err = filepath.Abs(filepath.Dir(file))
	return d, err
}
