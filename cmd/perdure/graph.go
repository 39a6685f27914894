package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pipeline"
)

// maxPipelineFile is one byte more than the parser reads, so that it can say so.
const maxPipelineFile = 1<<20 + 1

// readAtMost reads the beginning of a file.
func readAtMost(file string, most int64) ([]byte, error) {
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, most))
}

// graphReport is the JSON of graph.
type graphReport struct {
	Pipeline string `json:"pipeline"`
	Mermaid  string `json:"mermaid"`
}

func (a *app) graphCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "graph FILE",
		Short:   "Print the steps of a pipeline as a flowchart in Mermaid",
		Example: "  perdure graph pipeline.yaml > pipeline.mmd",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := readPipeline(args[0])
			if err != nil {
				return invalidFile(err)
			}
			if a.output == "json" {
				return writeJSON(a.out, graphReport{d.Name, d.Mermaid()})
			}
			_, err = fmt.Fprint(a.out, d.Mermaid())
			return err
		},
	}
}

// invalidFile gives faults of a file their exit code.
func invalidFile(err error) error {
	if _, ok := errors.AsType[pipeline.FaultsError](err); ok {
		return &exitError{code: exitInvalid, err: err, hint: "perdure check FILE"}
	}
	return err
}
