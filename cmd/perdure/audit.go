package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/audit"
)

func (a *app) auditCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "audit",
		Short: "Read the audit trail, and verify that nobody has changed it",
	}, a.auditVerifyCommand(), a.auditTailCommand())
}

// trailDir is the directory that was named, or the one that serve would use:
// $PERDURE_AUDIT_DIR, else audit in the state directory.
func trailDir(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	e, err := paths()
	if err != nil {
		return "", err
	}
	return e.Audit.Dir, nil
}

// auditError gives an error of the trail its exit code and what to do.
func auditError(dir string, err error) error {
	if _, ok := errors.AsType[*audit.Error](err); ok {
		return &exitError{code: exitCheck, err: err, hint: "keep the directory as it is, and compare it with a backup and with checkpoints that were kept elsewhere (docs/audit.md)"}
	}
	hint := "name the directory of the trail; perdure config says where serve keeps it"
	if errors.Is(err, os.ErrPermission) {
		hint = "run it as the user that writes the trail, or on a copy of " + dir
	}
	return &exitError{code: exitInvalid, err: err, hint: hint}
}

// auditReport is the JSON of audit verify.
type auditReport struct {
	OK          bool        `json:"ok"`
	Dir         string      `json:"dir"`
	Origin      string      `json:"origin,omitempty"`
	Files       int         `json:"files"`
	Records     uint64      `json:"records"`
	Size        uint64      `json:"size"`
	Signed      uint64      `json:"signed"`
	Checkpoints uint64      `json:"checkpoints"`
	Head        string      `json:"head"`
	First       *time.Time  `json:"first,omitempty"`
	Last        *time.Time  `json:"last,omitempty"`
	Healed      int         `json:"healed"`
	Live        bool        `json:"live"`
	Fault       *auditFault `json:"fault,omitempty"`
}

// auditFault is the first record that is not as it was written.
type auditFault struct {
	Reason string `json:"reason"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Seq    uint64 `json:"seq"`
	Last   uint64 `json:"last"`
	Signed uint64 `json:"signed"`
	Text   string `json:"text"`
}

func (a *app) auditVerifyCommand() *cobra.Command {
	var cfg audit.VerifyConfig
	var keys, checkpoints []string
	cmd := &cobra.Command{
		Use:   "verify [DIRECTORY]",
		Short: "Name the first record that was changed, removed, moved, put in or cut off",
		Long: "verify reads the whole trail (default: $PERDURE_AUDIT_DIR, else audit in perdure's state directory) and exits with 5 if it is not as it was written.\n" +
			"Whoever can write to the directory can replace all of it, so give a public key and a checkpoint that were kept elsewhere.",
		Example: "  perdure audit verify /var/lib/perdure/audit --key audit.pub --checkpoint yesterday.checkpoint",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := trailDir(args)
			if err != nil {
				return err
			}
			cfg.Dir = dir
			if cfg.Keys, err = readKeys(keys); err != nil {
				return err
			}
			for _, file := range checkpoints {
				b, err := os.ReadFile(file) //nolint:gosec // the file that the user names
				if err != nil {
					return auditError(dir, err)
				}
				cfg.Checkpoints = append(cfg.Checkpoints, string(b))
			}
			return a.auditVerify(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "public key, or a file of them (default: audit.pub in the directory)")
	cmd.Flags().StringArrayVar(&checkpoints, "checkpoint", nil, "file with a signed checkpoint that was kept elsewhere")
	cmd.Flags().Uint64Var(&cfg.Size, "size", 0, "number of records that there must be at least")
	cmd.Flags().BoolVar(&cfg.Pruned, "pruned", false, "the first files may have been removed")
	return cmd
}

// readKeys returns the keys that were given: each is one, or a file of them.
func readKeys(given []string) ([]string, error) {
	var keys []string
	for _, k := range given {
		if strings.Count(k, "+") >= 2 && !strings.ContainsRune(k, os.PathSeparator) {
			keys = append(keys, k)
			continue
		}
		b, err := os.ReadFile(k) //nolint:gosec // the file that the user names
		if errors.Is(err, os.ErrNotExist) && strings.Count(k, "+") >= 2 {
			keys = append(keys, k) // the key's name or its base64 has a slash
			continue
		}
		if err != nil {
			return nil, &exitError{code: exitInvalid, err: err, hint: "--key audit.pub"}
		}
		list := strings.Fields(string(b))
		if len(list) == 0 {
			return nil, &exitError{code: exitInvalid, err: fmt.Errorf("%s: no key in the file", k), hint: "--key audit.pub"}
		}
		keys = append(keys, list...)
	}
	return keys, nil
}

func (a *app) auditVerify(ctx context.Context, cfg audit.VerifyConfig) error {
	r, err := audit.Verify(ctx, cfg)
	fault, broken := errors.AsType[*audit.Error](err)
	if err != nil && !broken {
		return auditError(cfg.Dir, err)
	}
	report := auditReport{
		OK: !broken, Dir: cfg.Dir, Origin: r.Origin, Files: r.Files, Records: r.Records, Size: r.Size, Signed: r.Signed,
		Checkpoints: r.Checkpoints, Head: r.Head, Healed: r.Healed, Live: r.Live,
	}
	if r.Records > 0 {
		report.First, report.Last = &r.First, &r.Last
	}
	if broken {
		report.Fault = &auditFault{string(fault.Reason), fault.File, fault.Line, fault.Seq, fault.Last, fault.Signed, fault.Error()}
	}
	if a.output == "json" {
		err = writeJSON(a.out, report)
	} else {
		err = a.printAudit(report)
	}
	if broken && err == nil {
		err = auditError(cfg.Dir, fault)
	}
	return err
}

func (a *app) printAudit(r auditReport) error {
	word := a.color("INTACT", green)
	if !r.OK {
		word = a.color("NOT INTACT", red)
	}
	if _, err := fmt.Fprintf(a.out, "%s  %s\n\n", word, r.Dir); err != nil {
		return err
	}
	rows := [][]string{
		{"records read", thousands(int64(r.Records)) + " in " + thousands(int64(r.Files)) + " files"}, //nolint:gosec // it counts lines
		{"signed", "up to record " + thousands(int64(r.Signed)) + " of " + thousands(int64(r.Size))},  //nolint:gosec // it counts lines
		{"checkpoints", thousands(int64(r.Checkpoints)) + " by " + printable(r.Origin)},               //nolint:gosec // it counts lines
		{"torn tails healed", thousands(int64(r.Healed))},
	}
	if r.First != nil {
		rows = append(rows, []string{"from", r.First.Format(time.RFC3339)}, []string{"to", r.Last.Format(time.RFC3339)})
	}
	rows = append(rows, []string{"head", r.Head})
	if r.Live {
		rows = append(rows, []string{"live", "a writer was writing the next line"})
	}
	if f := r.Fault; f != nil {
		rows = append(rows, []string{"first bad record", thousands(int64(f.Seq)) + ": " + f.Reason}, []string{"at", fmt.Sprintf("%s:%d", f.File, f.Line)}) //nolint:gosec // it counts lines
	}
	return grid{rows: rows}.write(a.out)
}
