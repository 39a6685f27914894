package daemon

import (
	"context"

	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/config"
	"github.com/perdure/perdure/health"
	"github.com/perdure/perdure/redact"
)

func openTrail(cfg config.Audit) (*audit.Trail, error) {
	if !cfg.Enabled {
		return nil, nil //nolint:nilnil // none is wanted
	}
	return audit.Open(audit.Config{Dir: cfg.Dir, KeyFile: cfg.KeyFile, Origin: cfg.Origin, Sanitize: redact.Text})
}

// auditor writes what is asked for on the listener to the trail, before it is
// done.
type auditor struct{ trail *audit.Trail }

// Audit returns when the record is on the disk.
func (a auditor) Audit(ctx context.Context, t admin.Try) error {
	r := audit.Record{
		Time: t.At, Kind: audit.KindAdmin, Manager: t.Manager, Subject: t.Breaker, Action: t.Action, Actor: t.Client,
		Fields: map[string]any{"status": t.Status}, Text: t.Reason,
	}
	if t.Code != "" {
		r.Fields["code"] = t.Code
	}
	if t.Suppressed > 0 {
		r.Fields["suppressed"] = t.Suppressed
	}
	_, err := a.trail.Append(ctx, r)
	return err
}

// begin records what is in force from here on.
func begin(ctx context.Context, trail *audit.Trail, e *config.Effective, version string) error {
	fields := map[string]any{"version": version}
	for _, v := range e.Values() {
		if v.Source.Kind != "default" {
			fields[v.Path] = v.Text
		}
	}
	_, err := trail.Append(ctx, audit.Record{Kind: audit.KindConfiguration, Subject: "serve", Action: "start", Fields: fields})
	return err
}

// trailCheck warns when the trail takes no records: work goes on without it,
// changes by people do not.
func trailCheck(trail *audit.Trail) health.Check {
	return health.Check{
		Name: "audit", Optional: true, Interval: -1, Fall: 1, Rise: 1,
		Run: func(context.Context) error { return trail.Err() },
	}
}
