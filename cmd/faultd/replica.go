package main

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// replicaFile holds the random part of the name that this data directory's daemon has among the replicas.
const replicaFile = "replica"

var replicaID = regexp.MustCompile("^[0-9a-f]{8}$")

// replicaName is the same at each start in a data directory, which one process at a time may use: what the process before held is
// this one's at once. It is another one than that of a copy of the directory on another host.
func replicaName(dataDir string) (string, error) {
	host, _ := os.Hostname()
	path := filepath.Join(dataDir, replicaFile)
	text, err := os.ReadFile(path)
	id := strings.TrimSpace(string(text))
	if err != nil || !replicaID.MatchString(id) {
		random := make([]byte, 4)
		_, _ = rand.Read(random)
		id = hex.EncodeToString(random)
		if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("keeping the name of this replica: %w", err)
		}
	}
	return cmp.Or(host, "unknown") + "-" + id, nil
}
