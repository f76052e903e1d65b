package statemachine

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// example is a fault as it comes, and what is to be thought of it.
type example struct {
	kind   Kind
	fault  Fault
	cause  Cause
	retry  bool
	advice string // a part of it, which tells its row from the others
}

var examples = []example{
	// Backup management's sixteen codes.
	{Backup, Fault{Code: 422, ErrorCode: "103", Message: "CONFLUENCE is not present in cloud site c-ord-1", Reason: "PRODUCT_MISSING"}, CauseNotFound, false, "product does not exist"},
	{Restore, Fault{Code: 400, ErrorCode: "108", Message: "The backupId : bk-7 is invalid or does not belong to operation Backup"}, CauseNotFound, false, "names nothing"},
	{Export, Fault{Code: 404, ErrorCode: "110", Message: "Brie job=EXPORT with externalId=ex-9 is not present"}, CauseNotFound, false, "names nothing"},
	{Import, Fault{Code: 404, ErrorCode: "112", Message: "Invalid cloudId=c-1 for job=IMPORT with externalId=im-2"}, CauseNotFound, false, "names nothing"},
	{Import, Fault{Code: 404, ErrorCode: "113", Message: "BackupId not found for importId = im-2"}, CauseNotFound, false, "names nothing"},
	{Restore, Fault{Code: 400, ErrorCode: "120", Message: "The restoreId : r-1 is invalid or does not belong to operation Restore"}, CauseNotFound, false, "names nothing"},
	{Backup, Fault{Code: 409, ErrorCode: "127", Message: "Backup Policy already exists with orgId: 1234 cloudId: c-1 product: JIRA"}, CauseUnknown, false, "backup policy already"},
	{Export, Fault{Code: 409, ErrorCode: "128", Message: "Conflicting Storage name = vault-a"}, CauseUnknown, false, "Another storage has this name"},
	{Export, Fault{Code: 404, ErrorCode: "129", Message: "Storage Details not found for storageId = s-1"}, CauseNotFound, false, "storage is not known"},
	{Export, Fault{Code: 400, ErrorCode: "130", Message: "Incorrect principalTag = t or roleIdentifier = r"}, CausePermission, false, "principal's tag"},
	{Import, Fault{Code: 404, ErrorCode: "131", Message: "No COMPLETED export found for backup = bk-102", Reason: "EXPORT_NOT_COMPLETED"}, CauseNotFound, false, "Export the backup"},
	{Import, Fault{Code: 404, Message: "No COMPLETED export found for backup = bk-102"}, CauseNotFound, false, "Export the backup"},
	{Export, Fault{Code: 400, ErrorCode: "133", Message: "Storage region = us-east-1 is not eligible for the org:1234 and cloud: c-1"}, CausePermission, false, "this region"},
	{Restore, Fault{Code: 409, ErrorCode: "137", Message: "A restore request for this product already exists"}, CauseUnknown, true, "A restore of this product"},
	{Restore, Fault{Code: 409, Message: "A restore request for this product already exists"}, CauseUnknown, true, "A restore of this product"},
	{Export, Fault{Code: 400, ErrorCode: "140", Message: "Export Already in Progress"}, CauseUnknown, true, "An export is under way"},
	{Export, Fault{Code: 400, Message: "Export Already in Progress"}, CauseUnknown, true, "An export is under way"},
	{Export, Fault{Code: 400, ErrorCode: "142", Message: "Validation failed for storage creation for bucketName = b and basePath = / and region = eu"}, CauseUnknown, false, "The storage was refused"},
	{Migration, Fault{Code: 404, ErrorCode: "143", Message: "Post operation report not available for migration = m-1"}, CauseNotFound, true, "The report is there"},

	// Cloud Backup's four symptoms.
	{Backup, Fault{Code: 500, Message: "Backup is corrupted: the index of snapshot 41 cannot be read"}, CauseClonedAgent, false, "If the server was cloned"},
	{Restore, Fault{Code: 500, Message: "Restore failed", Details: "vault corrupted at chunk 9f86d081"}, CauseClonedAgent, false, "If the server was cloned"},
	{Backup, Fault{Code: 503, Message: "Network error while sending block 17"}, CauseNetwork, true, "service net"},
	{Backup, Fault{Code: 500, Message: "Failure to communicate with Cloud Files"}, CauseNetwork, true, "service net"},
	{Restore, Fault{Code: 500, Message: "The agent failed to communicate with Cloud Backup"}, CauseNetwork, true, "service net"},
	{Backup, Fault{Code: 500, Message: "Out of disk space", Reason: "OUT_OF_DISK_SPACE"}, CauseStorageFull, false, "Free space on the server"},
	{Backup, Fault{Code: 500, Message: "unable_to_process_some_files", Details: "/etc/shadow: Permission denied"}, CausePermission, false, "file that the agent may not read"},
	{Backup, Fault{Code: 500, Message: "C:\\pagefile.sys: The process cannot access the file because it is being used by another process"}, CausePermission, true, "A file was in use"},
	{Backup, Fault{Code: 500, Message: "The backup failed"}, CauseInternal, true, "latest agent release"},
	{Backup, Fault{Code: 500, Message: "The restore is too slow to end within its window"}, CauseTimeout, true, "It is slow"},
	{Backup, Fault{Code: 404, Message: "Skipped", Reason: "file_or_folder_missing"}, CauseNotFound, false, "what the job selects"},
	{Restore, Fault{Code: 504, Message: "The storage did not answer in time", Details: "read timeout after 60 s, agent ag-2", Reason: "STORAGE_TIMEOUT"}, CauseTimeout, true, "went silent. Make sure"},

	// OpenStack, and HTTP codes as such.
	{Server, Fault{Code: 500, Message: "No valid host", Reason: "NoValidHost", Details: "No valid host was found. There are not enough hosts available.\nTraceback…"}, CauseCapacity, true, "no room for it at present"},
	{Server, Fault{Code: 503, Message: "No valid host was found", Reason: "NO_VALID_HOST"}, CauseCapacity, true, "no room for it at present"},
	{Server, Fault{Code: 500, Message: "The host ran out of memory", Details: "qemu-kvm: cannot set up guest memory", Reason: "OUT_OF_MEMORY"}, CauseCapacity, true, "no room for it at present"},
	{Server, Fault{Code: 500, Message: "NoValidBackend('No valid backend was found. No weighed backends available')"}, CauseCapacity, true, "no room for it at present"},
	{Server, Fault{Code: 500, Message: "Build failed", Reason: "CAPACITY"}, CauseCapacity, true, "no room for it at present"},
	{Server, Fault{Code: 413, Message: "Quota exceeded for cores: requested 4, but already used 20 of 20 cores", Reason: "QUOTA"}, CauseQuota, false, "A quota does not allow"},
	{Server, Fault{Code: 403, Message: "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"}, CauseQuota, false, "A quota does not allow"},
	{Server, Fault{Code: 500, Message: "Port limit exceeded", Reason: "PortLimitExceeded", Details: "Maximum number of ports exceeded"}, CauseQuota, false, "A quota does not allow"},
	{Server, Fault{Code: 413, Message: "OverLimit Retry..."}, CauseQuota, false, "A quota does not allow"},
	{Image, Fault{Code: 413, Message: "The size of the data 1073741824 will exceed the limit. 512 bytes remaining."}, CauseQuota, false, "A quota does not allow"},
	{Export, Fault{Code: 429, Message: "There is a violation of the rate limit"}, CauseQuota, true, "Too many requests"},
	{Server, Fault{Code: 500, Message: "Flavor disk too small", Reason: "FlavorDiskTooSmall", Details: "The created instance's disk would be too small."}, CauseQuota, false, "larger one"},
	{Server, Fault{Code: 400, Message: "Flavor's memory is too small for requested image."}, CauseQuota, false, "larger one"},
	{Image, Fault{Code: 500, Message: "Image storage media is full: There is not enough disk space on the image storage media."}, CauseStorageFull, false, "no room for the data"},
	{Server, Fault{Code: 500, Message: "OSError", Details: "Traceback…\nOSError: [Errno 28] No space left on device: '/var/lib/nova/instances/_base'"}, CauseStorageFull, false, "no room for the data"},
	{Image, Fault{Code: 507, Message: "The image could not be saved"}, CauseStorageFull, false, "no room for the data"},
	{Server, Fault{Code: 500, Message: "Binding failed for port 68e62053-fed2-4bd8-b3a8-0755012774ad, please check neutron logs for more information."}, CauseNetwork, true, "connected to its network"},
	{Server, Fault{Code: 500, Message: "Virtual interface create exception", Reason: "VirtualInterfaceCreateException"}, CauseNetwork, true, "connected to its network"},
	{Server, Fault{Code: 500, Message: "Max retries exceeded", Reason: "MaxRetriesExceeded", Details: "Exceeded maximum number of retries. Exceeded max scheduling attempts 3 for instance 8e609d42. Last exception: Unexpected vif_type=binding_failed"}, CauseNetwork, true, "connected to its network"},
	{Server, Fault{Code: 500, Message: "Exceeded maximum number of retries. Exceeded max scheduling attempts 3 for instance 8e609d42-fdc3-453c-ab85-f323c78f3918. Last exception: Failed to locate firmware descriptor files"}, CauseInternal, true, "tried on several hosts"},
	{Server, Fault{Code: 500, Message: "Cinder connection failed", Reason: "CinderConnectionFailed", Details: "Connection to cinder host failed: Connection timed out"}, CauseNetwork, true, "could not be reached"},
	{Image, Fault{Code: 500, Message: "HTTPConnectionPool(host='10.0.0.5', port=9292): Max retries exceeded with url: /v2/images (Caused by [Errno 111] ECONNREFUSED)"}, CauseNetwork, true, "could not be reached"},
	{Server, Fault{Code: 500, Message: "Share access grant error", Reason: "ShareAccessGrantError", Details: "Share access could not be granted to share id 8db0037b.\nReason: Connection timed out."}, CauseNetwork, true, "could not be reached"},
	{Server, Fault{Code: 500, Message: "EHOSTUNREACH"}, CauseNetwork, true, "could not be reached"},
	{Server, Fault{Code: 404, Message: "Could not find image 52415800-8b69-11e0-9b19-734f6f007777", Reason: "IMAGE_NOT_FOUND"}, CauseNotFound, false, "The image does not exist"},
	{Server, Fault{Code: 500, Message: "Image not found", Reason: "ImageNotFound"}, CauseNotFound, false, "The image does not exist"},
	{Server, Fault{Code: 404, Message: "Fault!", Details: "timed out"}, CauseNotFound, false, "Something that it needs"},
	{Server, Fault{Code: 500, Message: "Volume 0f1e2d3c could not be found."}, CauseNotFound, false, "Something that it needs"},
	{Image, Fault{Code: 403, Message: "Fault!"}, CausePermission, false, "It was not allowed"},
	{Server, Fault{Code: 500, Message: "Build failed", Details: "PermissionError: [Errno 13] Permission denied: '/dev/kvm'"}, CausePermission, false, "It was not allowed"},
	{Server, Fault{Code: 500, Message: "Messaging timeout", Reason: "MessagingTimeout", Details: "Timed out waiting for a reply to message ID 0f1e2d3c"}, CauseTimeout, true, "Look whether it has ended"},
	{Server, Fault{Code: 504, Message: "Nothing was heard of the job", Reason: "TIMED_OUT"}, CauseTimeout, true, "Look whether it has ended"},
	{Server, Fault{Code: 503, Message: "No valid host was found", Reason: "TIMED_OUT"}, CauseCapacity, true, "no room for it at present"},
	{Server, Fault{Code: 409, Message: "The agent in the server does not answer", Reason: "NO_AGENT"}, CauseTimeout, true, "Look whether it has ended"},
	{Server, Fault{Code: 500, Message: "Migration cancelled by the user"}, CauseCancelled, true, "ended before it was done"},
	{Backup, Fault{Code: 500, Message: "incomplete backup reset on manager restart"}, CauseInternal, true, "restarted while the job ran"},
	{Server, Fault{Code: 500, Message: "Aggregate name exists", Reason: "AggregateNameExists", Details: "Aggregate versioned_exc_aggregate already exists."}, CauseUnknown, false, "There is one already"},
	{Server, Fault{Code: 409, Message: "Cannot 'resize' instance 8e609d42 while it is in vm_state error"}, CauseUnknown, true, "does not allow it"},
	{Image, Fault{Code: 409, Message: "Fault!"}, CauseUnknown, true, "does not allow it"},
	{Server, Fault{Code: 500, Message: "Unsupported virt type", Reason: "UnsupportedVirtType", Details: "Virtualization type 'FakeVirt' is not supported by this compute driver"}, CauseUnknown, false, "not valid here"},
	{Server, Fault{Code: 400, Message: "Volume 'size' needs to be a positive integer value, -1.0 cannot be accepted."}, CauseUnknown, false, "not valid here"},
	{Server, Fault{Code: 503, Message: "Fault!"}, CauseInternal, true, "overloaded"},
	{Server, Fault{Code: 501, Message: "Fault!"}, CauseInternal, false, "cannot do this"},
	{Image, Fault{Code: 500, Message: "An internal error occured", Details: "Error details"}, CauseInternal, true, "does not say why. Try again"},
	{Server, Fault{Code: 502, Message: "Fault!"}, CauseInternal, true, "does not say why. Try again"},
	{Server, Fault{Code: 500, Message: "The disk could not be written", Details: "IOError: [Errno 5] Input/output error", Reason: "DISK_WRITE"}, CauseInternal, true, "does not say why. Try again"},
	{Server, Fault{Code: 418, Message: "Fault!"}, CauseUnknown, false, "all that is known"},
	{Server, Fault{Code: 599, Message: "Fault!"}, CauseUnknown, false, "all that is known"},
	{Server, Fault{}, CauseUnknown, false, "all that is known"},

	// What looks like a clue and is none.
	{Server, Fault{Code: 500, Message: "Fault!", Details: "reply = self.call(ctxt, timeout=CONF.rpc_response_timeout, not_found=None)"}, CauseInternal, true, ""},
	{Server, Fault{Code: 500, Message: "Errno 2800; untimed outage; pre-imaged: not, found"}, CauseInternal, true, ""},
	{Server, Fault{Code: 500, Message: "no other valid host"}, CauseInternal, true, ""},
	{Server, Fault{Code: 500, Message: "Fault!", Reason: "HTTPNotFound"}, CauseNotFound, false, ""},
	{Server, Fault{Code: 500, Message: "The disk is corrupted, and boots slowly"}, CauseInternal, true, ""},
	{Server, Fault{Code: 500, Message: "no space left… on device"}, CauseStorageFull, false, ""},
	{Server, Fault{Code: 500, Message: "\xff\xfeno valid\xffhost"}, CauseInternal, true, ""},
}

func TestDiagnose_Examples(t *testing.T) {
	for _, x := range examples {
		d := Diagnose(&Resource{Key: Key{Kind: x.kind}}, ActBuild, &x.fault, false)
		if d.Cause != x.cause || d.Retry != x.retry || !strings.Contains(d.Advice, x.advice) || d.Advice == "" || d.Remark != "" {
			t.Errorf("%s, %d %q %q:\n got %s, retry %t, %q, remark %q\nwant %s, retry %t, …%s…", x.kind, x.fault.Code, x.fault.Reason, x.fault.Message,
				d.Cause, d.Retry, d.Advice, d.Remark, x.cause, x.retry, x.advice)
		}
		if want := Fingerprint(x.kind, ActBuild, &x.fault); d.Fingerprint != want {
			t.Errorf("%q: fingerprint is %s, not %s", x.fault.Message, d.Fingerprint, want)
		}
	}
}

func TestSymptoms_EachRowHasAnExampleAndASource(t *testing.T) {
	hits := make([]int, len(symptoms))
	for _, x := range examples {
		hits[findSymptom(&x.fault, byAgent(x.kind), false)]++
	}
	hits[findSymptom(&Fault{Code: 500}, true, true)]++
	for i, s := range symptoms {
		switch {
		case hits[i] == 0:
			t.Errorf("row %d (%s, %s) has no example", i, s.cause, s.source)
		case s.source == "" || s.cause.String() == "" || s.advice+s.agent == "":
			t.Errorf("row %d lacks its source, cause or advice", i)
		}
		for _, advice := range []string{s.advice, s.agent} {
			if n := strings.Count(advice, ". "); advice != "" && (!strings.HasSuffix(advice, ".") || n > 2) {
				t.Errorf("row %d: not a few plain sentences: %q", i, advice)
			}
		}
	}
}

// A phrase that an earlier row takes first never tells anything.
func TestSymptoms_EachClueLeadsToItsRow(t *testing.T) {
	for i, s := range symptoms {
		agent := s.advice == ""
		check := func(f Fault, clue any) {
			t.Helper()
			if got := findSymptom(&f, agent, false); got != i {
				t.Errorf("%v leads to row %d (%s), not to %d (%s)", clue, got, symptoms[got].cause, i, s.cause)
			}
		}
		for _, phrase := range s.says {
			check(Fault{Code: 500, Message: "?", Details: "x: " + phrase + "."}, phrase)
			check(Fault{Code: 500, Message: strings.ToUpper(phrase)}, phrase)
		}
		for _, phrase := range s.states {
			check(Fault{Code: 500, Message: "(" + phrase + ")"}, phrase)
			check(Fault{Code: 500, Reason: strings.ReplaceAll(phrase, " ", "_")}, phrase)
		}
		for _, word := range s.names {
			check(Fault{Code: 500, Message: "?", Reason: "X_" + strings.ToUpper(word)}, word)
		}
		for _, code := range slices.Concat(s.codes, s.vaguely) {
			check(Fault{Code: code}, code)
		}
		for _, code := range s.errorCodes {
			check(Fault{Code: 500, ErrorCode: code}, code)
		}
	}
}

func TestSymptoms_PhrasesCanBeFound(t *testing.T) {
	for _, s := range symptoms {
		for _, phrase := range slices.Concat(s.says, s.states, s.names) {
			n := 0
			for w := (words{text: phrase}); w.next(); n++ {
				if w.word() == nil || n > 0 && !w.joined {
					t.Errorf("%q: word %d can never match", phrase, n)
				}
			}
			if n == 0 || n > maxPhrase {
				t.Errorf("%q has %d words", phrase, n)
			}
		}
	}
	if len(symptoms) >= noSymptom {
		t.Errorf("%d rows do not fit a byte", len(symptoms))
	}
}

// All sixteen codes of backup management are told apart from what their messages alone would say.
func TestDiagnose_ErrorCodes(t *testing.T) {
	for _, code := range []string{"103", "108", "110", "112", "113", "120", "127", "128", "129", "130", "131", "133", "137", "140", "142", "143"} {
		if s := symptoms[findSymptom(&Fault{Code: 500, ErrorCode: code, Message: "No space left on device"}, false, false)]; !slices.Contains(s.errorCodes, code) {
			t.Errorf("%s leads to %s (%s)", code, s.cause, s.source)
		}
	}
}

func TestDiagnose_SharedVault(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		fault  Fault
		cause  Cause
		remark bool
	}{
		{Backup, Fault{Code: 500, Message: "The backup failed"}, CauseClonedAgent, false},
		{Restore, Fault{Code: 409, Message: "Fault!"}, CauseClonedAgent, false},
		{Backup, Fault{Code: 500, Message: "Backup is corrupted"}, CauseClonedAgent, false},
		{Backup, Fault{Code: 500, Message: "No space left on device"}, CauseStorageFull, true},
		{Server, Fault{Code: 500, Message: "Fault!"}, CauseInternal, false},
	} {
		d := Diagnose(&Resource{Key: Key{Kind: c.kind}}, ActBackup, &c.fault, true)
		told := d.Remark
		if c.cause == CauseClonedAgent {
			told = d.Advice
		}
		if d.Cause != c.cause || (d.Remark != "") != c.remark {
			t.Errorf("%s, %q: %s, remark %q", c.kind, c.fault.Message, d.Cause, d.Remark)
		}
		if c.kind != Server && !strings.Contains(told, "on another host") {
			t.Errorf("%s, %q: not told of the other agent: %q", c.kind, c.fault.Message, told)
		}
	}
}

func TestDiagnose_Slow(t *testing.T) {
	late := Fault{Code: 504, Message: "Nothing was heard of the job", Reason: "TIMED_OUT"}
	for _, c := range []struct {
		kind              Kind
		attributes        string
		fault             Fault
		encrypted, medium bool
	}{
		{Backup, `{"encrypted":true}`, late, true, false},
		{Restore, `{"encrypted":"true","storage_medium":"Cloud Block Storage"}`, late, true, true},
		{Backup, `{"storage_medium":"block-storage"}`, late, false, true},
		{Backup, `{"encrypted":false,"storage_medium":"object"}`, late, false, false},
		{Backup, `{"encrypted":1,"storage_medium":{"block":"storage"}}`, late, false, false},
		{Backup, `{"encrypted":true}`, Fault{Code: 500, Message: "Permission denied"}, false, false},
		{Server, `{"encrypted":true}`, late, false, false},
		{Backup, ``, late, false, false},
		{Backup, `{`, late, false, false},
	} {
		d := Diagnose(&Resource{Key: Key{Kind: c.kind}, Attributes: Attributes(c.attributes)}, ActBackup, &c.fault, false)
		if strings.Contains(d.Remark, "encrypted") != c.encrypted || strings.Contains(d.Remark, "Block Storage") != c.medium {
			t.Errorf("%s %s, %s: remark is %q", c.kind, c.attributes, d.Cause, d.Remark)
		}
	}
}

func TestCause_Names(t *testing.T) {
	want := "network storage-full permission quota capacity not-found timeout cloned-agent cancelled internal unknown"
	for i, name := range strings.Fields(want) {
		c, ok := ParseCause(name)
		if !ok || c.String() != name || int(c) != i+1 {
			t.Errorf("%s is %d, %q", name, c, c)
		}
	}
	if _, ok := ParseCause(""); ok {
		t.Error("no name is a cause")
	}
}

func FuzzDiagnose(f *testing.F) {
	for _, x := range examples {
		f.Add(uint8(x.kind), x.fault.Code, x.fault.Reason, x.fault.Message, x.fault.Details, x.fault.ErrorCode, true)
	}
	f.Fuzz(func(t *testing.T, kind uint8, code int, reason, message, details, errorCode string, shared bool) {
		fault := Fault{Code: code, Reason: reason, Message: message, Details: details, ErrorCode: errorCode}
		d := Diagnose(&Resource{Key: Key{Kind: Kind(kind)}, Attributes: Attributes(details)}, ActBackup, &fault, shared)
		if d.Cause == 0 || d.Cause > CauseUnknown || d.Advice == "" || !utf8.ValidString(d.Advice+d.Remark) || len(d.Fingerprint) != 18 {
			t.Fatalf("%+v", d)
		}
	})
}

func BenchmarkDiagnose(b *testing.B) {
	trace := strings.Repeat("  File \"/usr/lib/python3/dist-packages/nova/compute/manager.py\", line 2510, in _build_and_run_instance\n", 700)
	for name, details := range map[string]string{"short": "Error details", "64KiB": trace[:MaxDetails], "64KiBofBegins": strings.Repeat("no such no ", MaxDetails/11)} {
		b.Run(name, func(b *testing.B) {
			r := &Resource{Key: Key{Kind: Server}}
			f := &Fault{Code: 500, Message: "Build of instance 52415800-8b69-11e0-9b19-734f0000ffff aborted", Reason: "BuildAbortException", Details: details}
			b.SetBytes(int64(len(f.Message) + len(f.Details)))
			b.ReportAllocs()
			for b.Loop() {
				Diagnose(r, ActBuild, f, false)
			}
		})
	}
}
