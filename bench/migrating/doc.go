// Package migrating holds, in its tests, the code that docs/migrating-from
// shows: the same work guarded by the libraries that perdure replaces, and by
// perdure. It is compiled against the real libraries and run on a real server.
package migrating
