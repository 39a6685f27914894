package perdure

import "context"

// runTold runs a call of whose beginning the hooks know.
func (c *call) runTold(ctx context.Context, b body) error {
	refused := c.m.admit(c.o, &c.permit)
	return c.runSlowly(ctx, b, refused)
}

// again tells that the next attempt repeats one that failed, and returns its
// context.
func (c *call) again(ctx context.Context) context.Context {
	h := c.m.hooks.Load().Repeat
	if h == nil {
		return ctx
	}
	return h(ctx, RepeatEvent{
		Op: c.op.Name, Attempt: c.n + 1, Waited: c.at - c.tried, Verdict: c.verdict, CorrelationID: c.correlation(ctx),
	})
}

// adopt takes the correlation ID under which the failed attempt was told of
// already, by an adapter or by a call inside it: one failure has one ID.
func (c *call) adopt(j *Judgement, inner *Error) {
	if c.id == "" {
		c.id = j.CorrelationID
	}
	if c.id == "" && inner != nil {
		c.id = inner.CorrelationID
	}
}
