package storage

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	sm "faultd/statemachine"
)

// Relations are the attributes by which jobs of the backup family refer to each other. The first byte of a key
// tells them apart, behind the tenant number; the numbers are stored.
const (
	byBackup  = 'b' // backup_id
	byExport  = 'e' // export_id
	byProduct = 'p' // product
	byVault   = 'v' // vault
)

// maxRelation is the longest value in bytes by which resources are related.
const maxRelation = 256

// references are the values by which a resource is related to others.
type references struct{ Backup, Export, Product, Vault string }

// referencesOf reads each value by itself: one of another type than text relates nothing and hides no other.
func referencesOf(attributes sm.Attributes) (refs references) {
	if len(attributes) == 0 {
		return refs
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(attributes, &members) != nil {
		return refs
	}
	for name, to := range map[string]*string{"backup_id": &refs.Backup, "export_id": &refs.Export, "product": &refs.Product, "vault": &refs.Vault} {
		_ = json.Unmarshal(members[name], to) // what is no text stays empty
	}
	return refs
}

func relationPrefix(tenant uint32, relation byte, value string) []byte {
	key := binary.BigEndian.AppendUint32(make([]byte, 0, len(value)+16), tenant)
	key = append(append(key, relation), value...)
	return append(key, 0)
}

// relationKeys are the keys under which a resource stands, none for one that does not exist.
func relationKeys(r *sm.Resource, tenant uint32, number uint64) (keys [][]byte) {
	if !r.Kind.JobLike() || r.Status == 0 {
		return nil
	}
	refs := referencesOf(r.Attributes)
	add := func(relation byte, value string) {
		if value == "" || len(value) > maxRelation || slices.Contains([]byte(value), 0) {
			return
		}
		key := append(relationPrefix(tenant, relation, value), byte(r.Kind), byte(r.Status))
		keys = append(keys, binary.BigEndian.AppendUint64(key, number))
	}
	add(byBackup, refs.Backup)
	add(byExport, refs.Export)
	add(byProduct, refs.Product)
	add(byVault, refs.Vault)
	return keys
}

// relate moves the resource among those that it is related to.
func (b *batch) relate(t *touched) error {
	was, is := &t.before, &t.resource
	if !is.Kind.JobLike() || was.Status == is.Status && string(was.Attributes) == string(is.Attributes) {
		return nil
	}
	for _, key := range relationKeys(was, t.tenant, t.number) {
		if err := b.relations.Delete(key); err != nil {
			return err
		}
	}
	for _, key := range relationKeys(is, t.tenant, t.number) {
		if err := b.relations.Put(key, nil); err != nil {
			return err
		}
	}
	return nil
}

// newestRelated is the newest resource of a kind and status that is related so, or false.
func (db *DB) newestRelated(tenant string, relation byte, value string, kind sm.Kind, status sm.Status) (r sm.Resource, ok bool, err error) {
	err = db.view(func(v view) error {
		number := v.tenant(tenant)
		if number == 0 {
			return nil
		}
		prefix := append(relationPrefix(number, relation, value), byte(kind), byte(status))
		k, _ := seekBelow(v.relations.Cursor(), prefix, 0)
		if k == nil {
			return nil
		}
		ok = true
		r, err = v.resource(binary.BigEndian.Uint64(k[len(prefix):]))
		return err
	})
	return r, ok, err
}

// NewestExport is the newest COMPLETED export of a backup, or false where there is none.
func (db *DB) NewestExport(tenant, backupID string) (sm.Resource, bool, error) {
	return db.newestRelated(tenant, byBackup, backupID, sm.Export, sm.Completed)
}

// InProgress is the newest job of a kind that is queued or in progress for a product, or false where there is none.
func (db *DB) InProgress(tenant, product string, kind sm.Kind) (sm.Resource, bool, error) {
	r, ok, err := db.newestRelated(tenant, byProduct, product, kind, sm.InProgress)
	if err != nil || ok {
		return r, ok, err
	}
	return db.newestRelated(tenant, byProduct, product, kind, sm.Queued)
}

// JobsOf returns the exports, imports, restores and migrations that name a backup, by kind and status, the oldest
// first, at most limit.
func (db *DB) JobsOf(tenant, backupID string, limit int) ([]sm.Resource, error) {
	return db.related(tenant, byBackup, backupID, limit)
}

func (db *DB) related(tenant string, relation byte, value string, limit int) (all []sm.Resource, err error) {
	err = db.view(func(v view) error {
		number := v.tenant(tenant)
		if number == 0 {
			return nil
		}
		prefix := relationPrefix(number, relation, value)
		c := v.relations.Cursor()
		for k, _ := c.Seek(prefix); len(k) == len(prefix)+10 && string(k[:len(prefix)]) == string(prefix) && len(all) < limit; k, _ = c.Next() {
			r, err := v.resource(binary.BigEndian.Uint64(k[len(prefix)+2:]))
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	return all, err
}
