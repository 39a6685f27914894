// Package admin is the admin listener: what a process says of itself over HTTP,
// and the few changes that a person may make.
//
// # Who may do what
//
// The listener is on the loopback interface, and whoever may use that may read:
// nothing that is shown there holds a secret or a row. On any other address,
// which must be asked for (Config.Remote), reading needs a token too; only
// probes (Route.Open) do not. Changes and profiles always need the admin token.
//
// # Invariants
//
//  1. A change needs the bearer token, comes from no other origin, is within
//     the limits, and is in the audit trail before it is done: if it cannot be
//     recorded, it is not done.
//  2. A client whose failures are limited is refused whatever token it brings:
//     limiting the answers alone would not limit the guessing.
//  3. A page of another site cannot read: the Host header must be an address,
//     localhost or a name that was allowed, so that no foreign name can be bound
//     to the listener (DNS rebinding), and no answer allows another origin.
//  4. No client can hold a goroutine, a connection or memory without bound by
//     being slow: there are deadlines for headers, body and each write, limits of
//     sizes, of connections and of streams.
//  5. Neither tokens nor query strings are logged.
package admin
