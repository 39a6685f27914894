// Package audit keeps a tamper-evident trail of what must be known later:
// breaker changes, holds, configuration, give-ups, commit outcomes, pipeline
// runs and changes by administrators.
//
// A [Trail] is a directory of files with one JSON object on a line. Each line
// ends with its own SHA-256 and names that of the line before it, across files;
// signed checkpoints (notes in the format of Go's checksum database) say now
// and then how many lines there are and what the last hash is. [Verify] names
// the first line that was changed, removed, moved, inserted or cut off.
// [Tail] reads the end of a trail and follows it.
//
// # The line
//
//	{"v":1,"seq":7,"time":"…","kind":"outcome",…,"prev":"<64 hex>","hash":"<64 hex>"}
//
// The hash is that of the bytes of the line before `,"hash":`, as they stand in
// the file: whoever verifies needs no canonical JSON. The first line's prev is
// 64 zeros. The files, the notes and what can and cannot be found are described
// in docs/audit.md.
//
// # Invariants
//
//   - Append returns nil only when the records are on the disk.
//   - Only an unfinished last line is ever cut off, by Open, and a record says so.
//   - After a failed write or fsync the Trail is failed for good, says so, and
//     has taken back what was not on the disk: after a failed fsync nobody knows
//     what the kernel has kept.
//   - One writer at a time.
package audit
