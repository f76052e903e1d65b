package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// managedError is an error that the backup management API has a code of its own for.
type managedError struct {
	code    string
	status  int
	message string // its form: a pair of braces stands for each thing that it is about
	by      origin
}

// managedErrors are all of them.
var managedErrors = []managedError{
	{"103", http.StatusUnprocessableEntity, "{} is not present in cloud site {}", byEvent},
	{"108", http.StatusBadRequest, "The backupId : {} is invalid or does not belong to operation Backup", byReading},
	{"110", http.StatusNotFound, "Brie job={} with externalId={} is not present", byReading},
	{"112", http.StatusNotFound, "Invalid cloudId={} for job={} with externalId={}", byReading},
	{"113", http.StatusNotFound, "BackupId not found for {} = {}", byReading},
	{"120", http.StatusBadRequest, "The restoreId : {} is invalid or does not belong to operation Restore", byReading},
	{"127", http.StatusConflict, "Backup Policy already exists with orgId: {} cloudId: {} product: {}", byEvent},
	{"128", http.StatusConflict, "Conflicting Storage name = {}", byEvent},
	{"129", http.StatusNotFound, "Storage Details not found for storageId = {}", byEvent},
	{"130", http.StatusBadRequest, "Incorrect principalTag = {} or roleIdentifier = {}", byEvent},
	{"131", http.StatusNotFound, "No COMPLETED export found for backup = {}", byReading},
	{"133", http.StatusBadRequest, "Storage region = {} is not eligible for the org:{} and cloud: {}", byEvent},
	{"137", http.StatusConflict, "A restore request for this product already exists", byEvent},
	{"140", http.StatusBadRequest, "Export Already in Progress", byEvent},
	{"142", http.StatusBadRequest, "Validation failed for storage creation for bucketName = {} and basePath = {} and region = {}", byEvent},
	{"143", http.StatusNotFound, "Post operation report not available for migration = {}", byReading},
}

// managedErrorOf is the error with that code, or nil.
func managedErrorOf(code string) *managedError {
	for i := range managedErrors {
		if managedErrors[i].code == code {
			return &managedErrors[i]
		}
	}
	return nil
}

// say is the message about those things, in their order.
func (e *managedError) say(about ...string) string {
	var text strings.Builder
	for i, part := range strings.Split(e.message, "{}") {
		if i > 0 && i <= len(about) {
			text.WriteString(about[i-1])
		}
		text.WriteString(part)
	}
	return text.String()
}

// refusal is the problem with that code, which must be one of those above.
func refusal(code string, about ...string) *problem {
	e := managedErrorOf(code)
	return &problem{status: e.status, message: e.say(about...), code: code}
}

// managedCode is the code of a fault and the HTTP status that goes with it. Without a code of this API's it is the
// fault's, which is an HTTP status.
func managedCode(f *sm.Fault) (code string, status int) {
	if e := managedErrorOf(f.ErrorCode); e != nil {
		return e.code, e.status
	}
	return strconv.Itoa(f.Code), f.Code
}

// managementFault says a problem as the backup management API does. One that this API has no code for has the HTTP
// status as its code: those are all from 400 on, the API's own below.
func managementFault(p *problem, _ string, _ time.Time) fault {
	code := p.code
	if code == "" {
		code = strconv.Itoa(p.status)
	}
	body := appendText([]byte{'{'}, "errorCode", code)
	body = appendText(body, "errorMessage", p.message)
	return fault{status: p.status, contentType: "application/json", body: append(body, '}')}
}
