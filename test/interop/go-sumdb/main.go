// Checks a log that Countersign wrote with Go's own packages for signed notes and transparency logs, which share no
// code with it: the checkpoint's signature, the root over the entries, every tile, every proof, and that the proofs
// are the very ones that Go would make.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type record struct {
	Kind   string
	Note   string
	Index  int64
	Entry  string
	Level  int
	Hashes []byte
}

type vectors struct {
	Proofs      []string
	Consistency []struct {
		From, To int64
		Hashes   []string
	}
}

// hashes is a log's hash storage in memory, in the order that tlog.StoredHashes appends to.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(h)) {
			return nil, fmt.Errorf("hash %d is not stored", index)
		}
		out[i] = h[index]
	}
	return out, nil
}

var passed, failed int

func check(name string, err error) {
	if err == nil {
		passed++
		return
	}
	failed++
	fmt.Printf("FAILED %s: %v\n", name, err)
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	dir := os.Args[1]
	vkey, err := os.ReadFile(filepath.Join(dir, "vkey"))
	must(err)
	verifier, err := note.NewVerifier(string(vkey))
	must(err)
	records := readExport(filepath.Join(dir, "export.ndjson"))

	var tree tlog.Tree
	var stored hashes
	var entries []string
	for _, r := range records {
		switch r.Kind {
		case "checkpoint":
			tree, err = openCheckpoint(r.Note, verifier)
			check("checkpoint", err)
			_, err = openCheckpoint(strings.Replace(r.Note, "\n"+strconv.FormatInt(tree.N, 10)+"\n", "\n1\n", 1), verifier)
			check("a changed checkpoint is refused", expectError(err))
		case "entry":
			more, err := tlog.StoredHashes(r.Index, []byte(r.Entry), stored)
			must(err)
			stored = append(stored, more...)
			entries = append(entries, r.Entry)
		}
	}
	root, err := tlog.TreeHash(int64(len(entries)), stored)
	must(err)
	check("root", expectEqual(root[:], tree.Hash[:]))
	check("size", expectEqual([]byte(fmt.Sprint(len(entries))), []byte(fmt.Sprint(tree.N))))
	checkTiles(records, stored)
	checkProofs(dir, verifier, entries, stored)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func readExport(path string) []record {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	var records []record
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<24)
	for scanner.Scan() {
		var r record
		must(json.Unmarshal(scanner.Bytes(), &r))
		records = append(records, r)
	}
	must(scanner.Err())
	return records
}

func openCheckpoint(text string, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func checkTiles(records []record, stored hashes) {
	for _, r := range records {
		if r.Kind != "tile" {
			continue
		}
		tile := tlog.Tile{H: 8, L: r.Level, N: r.Index, W: len(r.Hashes) / tlog.HashSize}
		data, err := tlog.ReadTileData(tile, stored)
		must(err)
		check(tile.Path(), expectEqual(data, r.Hashes))
	}
}

func checkProofs(dir string, verifier note.Verifier, entries []string, stored hashes) {
	text, err := os.ReadFile(filepath.Join(dir, "proofs.json"))
	must(err)
	var v vectors
	must(json.Unmarshal(text, &v))
	for index, proof := range v.Proofs {
		check(fmt.Sprintf("proof of entry %d", index), checkProof(proof, verifier, int64(index), entries[index], stored))
	}
	for _, c := range v.Consistency {
		check(fmt.Sprintf("tree %d begins tree %d", c.From, c.To), checkConsistency(c.From, c.To, c.Hashes, stored))
	}
}

// checkProof checks a tlog-proof, line by line as its specification has it.
func checkProof(text string, verifier note.Verifier, index int64, entry string, stored hashes) error {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", index) {
		return fmt.Errorf("malformed: %q", text)
	}
	proof, err := parseHashes(lines[2:])
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(checkpoint, verifier)
	if err != nil {
		return err
	}
	own, err := tlog.ProveRecord(tree.N, index, stored)
	if err != nil {
		return err
	}
	if err := expectEqual([]byte(fmt.Sprint(own)), []byte(fmt.Sprint(tlog.RecordProof(proof)))); err != nil {
		return err
	}
	if tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash([]byte(entry+" "))) == nil {
		return fmt.Errorf("another entry is proven as well")
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash([]byte(entry)))
}

func checkConsistency(from, to int64, lines []string, stored hashes) error {
	proof, err := parseHashes(lines)
	if err != nil {
		return err
	}
	before, err := tlog.TreeHash(from, stored)
	must(err)
	after, err := tlog.TreeHash(to, stored)
	must(err)
	return tlog.CheckTree(proof, to, after, from, before)
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	var parsed []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, hash)
	}
	return parsed, nil
}

func expectEqual(a, b []byte) error {
	if bytes.Equal(a, b) {
		return nil
	}
	return fmt.Errorf("%s is not %s", base64.StdEncoding.EncodeToString(a), base64.StdEncoding.EncodeToString(b))
}

func expectError(err error) error {
	if err != nil {
		return nil
	}
	return fmt.Errorf("it was accepted")
}
