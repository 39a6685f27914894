package perdure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/perdure/perdure/breaker"
)

// savedVersion is the version of what Save writes, and the only one that
// Restore reads.
const savedVersion = 1

// maxSaved bounds what Restore reads.
const maxSaved = 64 << 20

// saved is what survives a restart: how the breakers stand, and what they have
// learned.
type saved struct {
	Version    int                         `json:"version"`
	Manager    string                      `json:"manager"`
	SavedAt    time.Time                   `json:"saved_at"`
	Database   breaker.Snapshot            `json:"database"`
	Operations map[string]breaker.Snapshot `json:"operations,omitempty"`
}

// Save writes the state of all breakers, with the baselines that they have
// learned, as one JSON object. Save to a new file and rename it: a file that
// was cut short cannot be restored.
func (m *Manager) Save(w io.Writer) error {
	s := saved{
		Version:    savedVersion,
		Manager:    m.cfg.Name,
		SavedAt:    time.Now(),
		Database:   m.database.breaker.Snapshot(),
		Operations: map[string]breaker.Snapshot{},
	}
	m.mu.Lock()
	maps.Copy(s.Operations, m.restored) // of operations that this process has not used yet
	m.mu.Unlock()
	for o := range m.operations.all {
		if o.gate != nil {
			s.Operations[o.name] = o.gate.breaker.Snapshot()
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return fmt.Errorf("perdure: save: %w", err)
	}
	return nil
}

// Restore brings back what Save wrote: call it before the first call. A
// breaker that was open is open again and is probed before anything passes (the
// database's by a goroutine that begins at once and that Close ends);
// what was learned counts less the older it is. Operations get their state
// when they are first used. If anything is wrong with the input, Restore
// returns all faults and changes nothing.
func (m *Manager) Restore(r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxSaved+1))
	if err != nil {
		return fmt.Errorf("perdure: restore: %w", err)
	}
	if len(data) > maxSaved {
		return fmt.Errorf("perdure: restore: the input is larger than %d MiB", maxSaved>>20)
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("perdure: restore: %w", err)
	}
	if err := m.check(&s); err != nil {
		return fmt.Errorf("perdure: restore: %w", err)
	}
	if err := m.database.breaker.Restore(s.Database); err != nil {
		return fmt.Errorf("perdure: restore: database.%w", err)
	}
	for o := range m.operations.all {
		snapshot, ok := s.Operations[o.name]
		if !ok || o.gate == nil {
			continue
		}
		delete(s.Operations, o.name)
		if err := o.gate.breaker.Restore(snapshot); err != nil {
			return fmt.Errorf("perdure: restore: operations[%q].%w", o.name, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range byNeed(s.Operations) {
		if len(m.restored)+m.named >= m.cfg.MaxOperations {
			break
		}
		m.restored[name] = s.Operations[name]
	}
	return nil
}

// byNeed returns the names of the breakers that are not closed, then the rest,
// both sorted.
func byNeed(all map[string]breaker.Snapshot) []string {
	names := slices.Sorted(maps.Keys(all))
	slices.SortStableFunc(names, func(a, b string) int {
		return rank(all[a]) - rank(all[b])
	})
	return names
}

func rank(s breaker.Snapshot) int {
	if s.State != breaker.Closed || s.Held != breaker.NotHeld {
		return 0
	}
	return 1
}

// check returns everything that is wrong with s.
func (m *Manager) check(s *saved) error {
	if s.Version != savedVersion {
		return fmt.Errorf("version: %d is not %d", s.Version, savedVersion)
	}
	var f faults
	if s.Manager != m.cfg.Name {
		f.addf("manager: the state is that of %q, not of %q", s.Manager, m.cfg.Name)
	}
	f.under("database", s.Database.Validate())
	for _, name := range slices.Sorted(maps.Keys(s.Operations)) {
		if err := validName(name); err != nil {
			f.addf("operations: %w", err)
			continue
		}
		f.under(fmt.Sprintf("operations[%q]", name), s.Operations[name].Validate())
	}
	return errors.Join(f...)
}
