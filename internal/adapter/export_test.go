package adapter

// Len is how many operations are known.
func (p *Paces) Len() int { return int(p.n.Load()) }
