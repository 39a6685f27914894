package perdurepgx

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"
)

// However the stream is cut, each tag is counted once, and nothing else is.
func TestTagsAreFoundInAnyCut(t *testing.T) {
	t.Parallel()
	kinds := []string{"COMMIT", "ROLLBACK", "SET", "PREPARE TRANSACTION", "COMMIT PREPARED", "SELECT 1", "INSERT 0 1", "row", "none"}
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want tally
		for _, kind := range rapid.SliceOf(rapid.SampledFrom(kinds)).Draw(t, "messages") {
			var m pgproto3.BackendMessage = &pgproto3.CommandComplete{CommandTag: []byte(kind)}
			switch kind {
			case "COMMIT", "PREPARE TRANSACTION":
				want.commits++
			case "ROLLBACK":
				want.rollbacks++
			case "SET":
				want.sets++
			case "row":
				m = &pgproto3.DataRow{Values: [][]byte{[]byte("C\x00\x00\x00\x0bCOMMIT\x00")}}
			case "none":
				m = &pgproto3.EmptyQueryResponse{}
			}
			var err error
			if stream, err = m.Encode(stream); err != nil {
				t.Fatal(err)
			}
		}
		var got tags
		s := tagScanner{tags: &got}
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "cut")
			s.scan(stream[:n])
			stream = stream[n:]
		}
		if got.now() != want {
			t.Errorf("counted %+v, want %+v", got.now(), want)
		}
	})
}
