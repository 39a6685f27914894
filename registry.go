package perdure

import (
	"maps"
	"sync"
	"sync/atomic"
)

// registry finds operations by name. What is known for a while is in a map
// that never changes and needs no lock; new names are in a second one, behind
// a lock, until they have been asked for as often as it costs to copy both
// into a new first one. So a look-up is one map access in the long run, and
// making n operations costs O(n). (sync.Map worked like this before Go 1.24; today's costs
// twice the time and four times the memory for keys that are never deleted.)
type registry struct {
	known atomic.Pointer[map[string]*operation]

	mu    sync.Mutex // guards the fields below
	fresh map[string]*operation
	asked int // how often fresh had what known had not
}

// get returns the operation of that name, or nil.
func (r *registry) get(name string) *operation {
	if known := r.known.Load(); known != nil {
		if o := (*known)[name]; o != nil {
			return o
		}
	}
	return r.getFresh(name)
}

func (r *registry) getFresh(name string) *operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.fresh[name]
	if o == nil {
		if known := r.known.Load(); known != nil {
			o = (*known)[name] // it was copied since get looked
		}
		return o
	}
	known := r.known.Load()
	size := len(r.fresh)
	if known != nil {
		size += len(*known)
	}
	if r.asked++; r.asked < size {
		return o
	}
	next := make(map[string]*operation, size)
	if known != nil {
		maps.Copy(next, *known)
	}
	maps.Copy(next, r.fresh)
	r.known.Store(&next)
	r.fresh, r.asked = nil, 0
	return o
}

// put adds an operation whose name is not there; its caller sees to that.
func (r *registry) put(o *operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh == nil {
		r.fresh = map[string]*operation{}
	}
	r.fresh[o.name] = o
}

// all yields every operation, in no order.
func (r *registry) all(yield func(*operation) bool) {
	r.mu.Lock()
	both := []map[string]*operation{maps.Clone(r.fresh)}
	if known := r.known.Load(); known != nil {
		both = append(both, *known)
	}
	r.mu.Unlock()
	for _, m := range both {
		for _, o := range m {
			if !yield(o) {
				return
			}
		}
	}
}
