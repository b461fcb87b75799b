// Verifies proofs of the ledger with code of others only: golang.org/x/mod and transparency-dev.
//
//	go run . FOLDER
//
// The folder holds origin, log.vkey, witness.vkey, and of each leaf NAME.tlog-proof beside NAME.entry.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	folder := os.Args[1]
	logKey, err := note.NewVerifier(read(folder, "log.vkey"))
	fail(err)
	witness, err := f_note.NewVerifierForCosignatureV1(read(folder, "witness.vkey"))
	fail(err)
	origin := read(folder, "origin")
	proofs, err := filepath.Glob(filepath.Join(folder, "*.tlog-proof"))
	fail(err)
	for _, path := range proofs {
		fail(verify(path, origin, logKey, witness))
	}
	fmt.Printf("%d proofs verified\n", len(proofs))
}

func verify(path, origin string, logKey, witness note.Verifier) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(strings.TrimSuffix(path, ".tlog-proof") + ".entry")
	if err != nil {
		return err
	}
	var found proof.TLogProof
	if err := found.Unmarshal(raw); err != nil {
		return err
	}
	if again := found.Marshal(); string(again) != string(raw) {
		return fmt.Errorf("%s: marshals to other bytes", path)
	}
	checkpoint, _, signed, err := log.ParseCheckpoint(found.Checkpoint, origin, logKey, witness)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(signed.Sigs) != 2 {
		return fmt.Errorf("%s: %d of 2 signatures", path, len(signed.Sigs))
	}
	hashes := make(tlog.RecordProof, len(found.Hashes))
	for i, hash := range found.Hashes {
		hashes[i] = hash
	}
	size, root := int64(checkpoint.Size), tlog.Hash(checkpoint.Hash)
	if err := tlog.CheckRecord(hashes, size, root, int64(found.Index), tlog.RecordHash(entry)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func read(folder, name string) string {
	raw, err := os.ReadFile(filepath.Join(folder, name))
	fail(err)
	return strings.TrimSpace(string(raw))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
