package component

import (
	"context"
	"encoding/json"

	"github.com/perdure/perdure"
)

// Call is [Loader.Invoke] for Go: in is encoded, and the output decoded into an
// Out. They need not be the types of the method, but what fits its schemas. All
// goes through JSON, so that the caller and a method share no memory, and the
// same checks and limits hold as for any other invocation.
func Call[In, Out any](ctx context.Context, l *Loader, component, method string, in In) (Out, error) {
	var out Out
	fail := func(reason Reason, err error) (Out, error) {
		var none Out
		return none, &Error{
			Component: component, Method: method, Reason: reason, CorrelationID: perdure.CorrelationID(ctx),
			Err: &fault{reason: reason, err: err},
		}
	}
	raw, err := encode(in, limits{bytes: l.cfg.MaxInput, depth: l.cfg.MaxDepth})
	if err != nil {
		return fail(ReasonInput, err)
	}
	raw, err = l.Invoke(ctx, component, method, raw)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return fail(ReasonOutput, decodeError(err))
	}
	return out, nil
}
