package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/cmd/perdure/internal/config"
)

// configReport is the JSON of config.
type configReport struct {
	OK     bool           `json:"ok"`
	Values []configValue  `json:"values,omitempty"`
	Faults []configFaults `json:"faults,omitempty"`
	// Warnings are what is not wrong, but not well either.
	Warnings []string `json:"warnings,omitempty"`
}

type configValue struct {
	Path   string `json:"path"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

type configFaults struct {
	Source string `json:"source"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	Error  string `json:"error"`
	Try    string `json:"try,omitempty"`
}

func (a *app) configCommand() *cobra.Command {
	var (
		f     settingFlags
		check string
	)
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that serve would use, and where each value comes from",
		Long: "config prints every value that is in force, with its source, secrets hidden. With --check it reads\n" +
			"one file alone, without flags and variables, and prints all that is wrong with it.",
		Example: "  perdure config --config perdure.yaml\n  perdure config --check perdure.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("check") {
				e, err := f.load()
				return a.printConfig(e, err, "")
			}
			if check == "" { // as a variable that is not set gives it: nothing would be checked
				return usageError("--check has no file: want --check FILE")
			}
			e, err := config.Load(config.Input{File: check})
			if _, ok := errors.AsType[config.Faults](err); err != nil && !ok {
				return &exitError{code: exitInvalid, err: err, hint: "perdure config --check FILE"}
			}
			return a.printConfig(e, err, check)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&check, "check", "", "check this file")
	return cmd
}

// printConfig writes what is in force, or, as JSON, what is wrong; checked is
// the file that was to be checked.
func (a *app) printConfig(e *config.Effective, err error, checked string) error {
	faults, faulty := errors.AsType[config.Faults](err)
	if err != nil && !faulty {
		return err
	}
	if a.output == "json" {
		return errors.Join(writeJSON(a.out, reportOf(e, faults)), err)
	}
	if !faulty {
		for _, w := range e.Warnings() {
			a.say("Warning: %s", w)
		}
	}
	switch {
	case faulty:
		return err
	case checked != "":
		_, err := fmt.Fprintf(a.out, "%s: no faults\n", checked)
		return err
	}
	rows := [][]string{{"SETTING", "VALUE", "SOURCE"}}
	for _, v := range e.Values() {
		rows = append(rows, []string{v.Path, v.Text, v.Source.String()})
	}
	return grid{rows: rows}.write(a.out)
}

func reportOf(e *config.Effective, faults config.Faults) configReport {
	r := configReport{OK: len(faults) == 0}
	for _, f := range faults {
		one := configFaults{Source: f.Source.String(), Path: f.Path, Error: f.Text, Try: f.Try}
		if f.Source.Kind == "file" {
			one.File, one.Line, one.Column = f.Source.Name, f.Source.Line, f.Source.Column
		}
		r.Faults = append(r.Faults, one)
	}
	if r.OK {
		r.Warnings = e.Warnings()
		for _, v := range e.Values() {
			r.Values = append(r.Values, configValue{v.Path, v.Text, v.Source.String()})
		}
	}
	return r
}
