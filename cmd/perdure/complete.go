package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/pipeline"
)

// completePipelines completes what "perdure run" runs.
func completePipelines(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"flights"}, cobra.ShellCompDirectiveDefault // and files, where that does not fit
}

// completeRuns completes names of runs, each with its status, of those that
// the command is for. Faults complete nothing: a shell has no place for them.
func (a *app) completeRuns(f *engineFlags, most int, fits func(pipeline.Status) bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second) // whoever pressed Tab waits
		defer cancel()
		quiet := &app{out: io.Discard, err: io.Discard}
		e, err := quiet.openRuns(ctx, *f)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = e.Close(ctx) }() // it only read
		runs, err := e.List(ctx, 0)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		for _, r := range runs {
			if fits == nil || fits(r.Status) {
				out = append(out, cobra.CompletionWithDesc(r.Run, string(r.Status)+", "+clock(r.Started)))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
