package audit

import "time"

// startTimer sees to it that records do not stay without a checkpoint for
// longer than CheckpointAfter. The caller holds mu.
func (t *Trail) startTimer() {
	if t.clock != nil || t.closed || t.err != nil || t.cfg.CheckpointAfter < 0 {
		return
	}
	t.timer.Add(1)
	t.clock = time.AfterFunc(t.cfg.CheckpointAfter, t.due)
}

// stopTimer stops the timer, if it has not run out. The caller holds mu.
func (t *Trail) stopTimer() {
	if t.clock != nil && t.clock.Stop() {
		t.clock = nil
		t.timer.Done()
	}
}

// due signs the records that waited for CheckpointAfter.
func (t *Trail) due() {
	defer t.timer.Done()
	t.token <- struct{}{}
	defer func() { <-t.token }()
	t.mu.Lock()
	t.clock = nil
	err := t.err
	t.mu.Unlock()
	if err == nil {
		_ = t.checkpoint(checkpointTime) // a failure is kept, and the next Append gets it
	}
}

// checkpoint signs what no checkpoint covers yet. The caller holds the token.
func (t *Trail) checkpoint(why string) error {
	if t.w.unsigned == 0 {
		return nil
	}
	err := t.w.addCheckpoint(why)
	if err == nil {
		err = t.w.flush()
	}
	if err != nil {
		return t.fail(err)
	}
	t.settle()
	return t.Err()
}
