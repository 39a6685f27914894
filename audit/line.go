package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	version  = 1
	timeForm = "2006-01-02T15:04:05.000000Z"
	hashKey  = `,"hash":"`
	hashEnd  = `"}`
	hashLen  = 2 * sha256.Size
	tailLen  = len(hashKey) + hashLen + len(hashEnd)

	// maxLine bounds a line, and so what a reader must hold.
	maxLine = 64 << 10
	// maxFrame is the most that v, seq, prev and hash add to the payload.
	maxFrame = 256
)

// Why a line is no record.
var (
	errForm    = errors.New("it is not a record in canonical form")
	errHash    = errors.New("its hash is not that of its bytes")
	errVersion = errors.New("it has a version that this program does not know")
)

// digest is a SHA-256. The zero digest stands before the first record.
type digest [sha256.Size]byte

// String returns d in hexadecimal.
func (d digest) String() string { return hex.EncodeToString(d[:]) }

// payload is what a line holds besides its place in the chain, in order.
type payload struct {
	Time          string         `json:"time"`
	Kind          Kind           `json:"kind"`
	Manager       string         `json:"manager,omitempty"`
	Subject       string         `json:"subject,omitempty"`
	Action        string         `json:"action,omitempty"`
	Actor         string         `json:"actor,omitempty"`
	CorrelationID string         `json:"correlation_id,omitempty"`
	Fields        map[string]any `json:"fields,omitempty"`
	Text          string         `json:"text,omitempty"`
	Note          string         `json:"note,omitempty"`
}

// encode returns the members of r as they stand in a line, without braces. It
// is what can be done before the place in the chain is known.
func encode(r *Record, note string) ([]byte, error) {
	p := payload{
		r.Time.UTC().Format(timeForm), r.Kind, r.Manager, r.Subject, r.Action, r.Actor, r.CorrelationID, r.Fields, r.Text, note,
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	members := bytes.TrimSuffix(b.Bytes(), []byte("}\n"))[1:]
	if len(members) > maxLine-maxFrame {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrRecord, len(members), maxLine-maxFrame)
	}
	return members, nil
}

// appendLine appends the record with its place in the chain, and the newline.
func appendLine(dst []byte, seq uint64, prev digest, members []byte) ([]byte, digest) {
	from := len(dst)
	dst = append(dst, `{"v":1,"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, ',')
	dst = append(dst, members...)
	dst = append(dst, `,"prev":"`...)
	dst = hex.AppendEncode(dst, prev[:])
	dst = append(dst, '"')
	sum := digest(sha256.Sum256(dst[from:]))
	dst = append(dst, hashKey...)
	dst = hex.AppendEncode(dst, sum[:])
	dst = append(dst, hashEnd...)
	return append(dst, '\n'), sum
}

// parse reads one line without its newline. It accepts exactly the bytes that
// appendLine writes: whatever else is JSON with the same meaning is refused,
// so that two readers cannot see two things in one line.
func parse(line []byte) (Entry, digest, error) {
	var l struct {
		Version int    `json:"v"`
		Seq     uint64 `json:"seq"`
		payload
		Prev string `json:"prev"`
		Hash string `json:"hash"`
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	err := dec.Decode(&l)
	if err == nil && l.Version > version {
		return Entry{}, digest{}, fmt.Errorf("%w: %d", errVersion, l.Version)
	}
	body := len(line) - tailLen
	if body < 0 || !bytes.HasPrefix(line[body:], []byte(hashKey)) {
		return Entry{}, digest{}, errForm
	}
	sum := digest(sha256.Sum256(line[:body]))
	if string(line[body+len(hashKey):len(line)-len(hashEnd)]) != sum.String() {
		return Entry{}, digest{}, errHash
	}
	if err != nil {
		return Entry{}, digest{}, errForm
	}
	at, err := time.Parse(timeForm, l.Time)
	if err != nil || checkKind(l.Kind) != nil {
		return Entry{}, digest{}, errForm
	}
	e := Entry{
		Record: Record{at, l.Kind, l.Manager, l.Subject, l.Action, l.Actor, l.CorrelationID, l.Fields, l.Text},
		Seq:    l.Seq, Prev: l.Prev, Hash: l.Hash, Note: l.Note, Raw: line,
	}
	var prev digest
	members, err := encode(&e.Record, e.Note)
	if n, decodeErr := hex.Decode(prev[:], []byte(l.Prev[:min(len(l.Prev), hashLen)])); err != nil || decodeErr != nil || n != len(prev) {
		return Entry{}, digest{}, errForm
	}
	again, _ := appendLine(make([]byte, 0, len(line)+1), l.Seq, prev, members)
	if !bytes.Equal(again[:len(again)-1], line) {
		return Entry{}, digest{}, errForm
	}
	return e, sum, nil
}
