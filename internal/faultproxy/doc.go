// Package faultproxy is a TCP proxy that understands the PostgreSQL protocol and
// breaks connections at a named message: before or after a COMMIT reaches the
// server, before its reply reaches the client, at login, by count or by chance.
//
// A proxy forwards whole messages. It reads only their type and length, and the payload where
// a rule may ask for it: the SQL of a statement, the tag of a reply. It remembers
// which SQL a prepared statement and a portal stand for, so that
// the Execute of a COMMIT is a COMMIT.
//
// # Encryption
//
// The proxy refuses encryption (it answers 'N' itself), because it could not read
// what it forwards. With Config.PassTLS it lets client and server negotiate; from then on
// it only forwards bytes: rules about messages other than the start do not apply,
// and faults without a message (CutAll, Pause, Refuse) do.
//
// # Determinism
//
// Each rule draws from its own generator, seeded with Config.Seed and the rule's
// ordinal: the decision about the n-th message that a rule matches is always
// the same. Which connection sends the n-th message is up to the scheduler when
// several are at work, so that a run with one connection repeats exactly and a
// run with many repeats in its counts only.
package faultproxy
