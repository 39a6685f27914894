// Package state keeps what must survive a restart in a directory: how the
// breakers stand, and the tokens of the admin listener.
//
// # Invariants
//
//   - One process at a time: Open locks the directory, and the system lets go of
//     the lock when the process ends, however it ends.
//   - A file is whole or as it was before: it is written beside the old one,
//     synced and renamed.
//   - What cannot be read is set aside, never deleted and never fatal.
//   - Nobody else may read: the directory has mode 0700, its files 0600.
package state
