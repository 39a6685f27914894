// Package observe watches Managers for those who look at them: a bounded log of
// what happened, told to any number of readers as it happens, and a history of
// the last five minutes, a sample a second.
//
// It hangs on the hooks of the Managers and must not be felt by their calls. A
// hook here does no I/O, waits for nobody who does, and costs less than 300 ns:
// it notes what happened in fields, and sentences are made when somebody reads
// them. Nothing grows without bound: neither the log, nor what waits to be
// counted, nor the history, nor the readers.
//
// Of an error only its Reason, category, SQLSTATE and the name of its condition
// are kept: an error's own text may hold data.
package observe
