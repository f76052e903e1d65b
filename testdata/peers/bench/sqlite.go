package main

import (
	"database/sql"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite"
)

const sqliteTable = `CREATE TABLE resources (
	tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
	name TEXT, status TEXT NOT NULL, job TEXT, action TEXT, progress INTEGER, fault TEXT, attributes TEXT,
	PRIMARY KEY (tenant, kind, id)) WITHOUT ROWID`

const sqliteUpsert = `INSERT INTO resources (tenant, kind, id, name, status, job, action, progress, fault, attributes)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (tenant, kind, id) DO UPDATE SET name = excluded.name, status = excluded.status, job = excluded.job,
		action = excluded.action, progress = excluded.progress, fault = excluded.fault, attributes = excluded.attributes`

// sqlite upserts each message, a batch of them in a transaction that is on the disk when it is committed.
func sqlite(c peerConfig, _ jetstream.JetStream) (sink, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.Dir, "resources.sqlite")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return sink{}, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(sqliteTable); err != nil {
		return sink{}, err
	}
	upsert, err := db.Prepare(sqliteUpsert)
	if err != nil {
		return sink{}, err
	}
	var batch []jetstream.Msg
	flush := func() error {
		defer func() { batch = batch[:0] }()
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // once it is committed that does nothing
		within := tx.Stmt(upsert)
		for _, m := range batch {
			if err := upsertInto(within, m); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
	return sink{collect(&batch, flush), flush}, nil
}

func upsertInto(upsert *sql.Stmt, m jetstream.Msg) error {
	e, status, err := parse(m)
	if err != nil {
		return err
	}
	r := &e.Data.Resource
	_, err = upsert.Exec(r.Tenant, r.Kind, r.ID, r.Name, status, e.Data.Job.ID, e.Data.Job.Action, e.Data.Progress, string(e.Data.Fault), string(r.Attributes))
	return err
}
