package api

import "strconv"

// volumeBackupXML is the document of one backup.
func volumeBackupXML(b *volumeBackup, l *look) []byte {
	dst := appendRoot(make([]byte, 0, 2048), "backup", volumeNamespace)
	return appendEnd(appendVolumeBackupXML(dst, b, l), "backup")
}

// appendVolumeBackupXML appends what stands behind the name in a backup's start tag, up to its end tag: what is simple as
// attributes, as Cinder had it, then fault, metadata and links. What JSON shows as null is left out.
func appendVolumeBackupXML(dst []byte, b *volumeBackup, l *look) []byte {
	v := volumeFields.pick(b.Attributes, l.admin)
	dst = appendAttribute(dst, "id", b.ID)
	dst = appendKnownAttribute(dst, "name", b.Name)
	dst = appendAttribute(dst, "status", b.word)
	dst = appendKnownAttribute(dst, "fail_reason", b.failReason)
	dst = appendTimeAttribute(dst, "created_at", b.Created, zoneless)
	dst = appendTimeAttribute(dst, "updated_at", b.Updated, zoneless)
	dst = appendAttribute(dst, "project_id", b.Tenant)
	dst = appendKnownAttribute(dst, "user_id", b.User)
	if v[volumeFields.at["data_timestamp"]] == nil {
		dst = appendTimeAttribute(dst, "data_timestamp", b.Created, zoneless)
	}
	dst = append(volumeFields.appendAttributes(dst, &v), '>')
	dst = appendFaultXML(dst, b.Fault, l.admin)
	dst = appendMetadata(dst, volumeFields.take(&v, "metadata"))
	return appendAtomLinks(dst, volumeBackupsPath, b.ID, l)
}

// appendVolumeBackupBriefXML appends a backup as the plain list shows it.
func appendVolumeBackupBriefXML(dst []byte, b *volumeBackup, l *look) []byte {
	dst = appendAttribute(dst, "id", b.ID)
	dst = append(appendKnownAttribute(dst, "name", b.Name), '>')
	return appendAtomLinks(dst, volumeBackupsPath, b.ID, l)
}

// xml is the document of a page of backups.
func (p *volumePage) xml(l *look) []byte {
	render := appendVolumeBackupBriefXML
	if p.detail {
		render = appendVolumeBackupXML
	}
	dst := appendRoot(make([]byte, 0, 512+len(p.backups)*1024), "backups", volumeNamespace)
	if p.count >= 0 {
		dst = appendAttribute(dst, "count", strconv.Itoa(p.count))
	}
	dst = append(dst, '>')
	for i := range p.backups {
		dst = appendEnd(render(append(dst, "<backup"...), &p.backups[i], l), "backup")
	}
	if p.next != "" {
		dst = appendAtomLink(dst, "next", "", p.next)
	}
	return appendEnd(dst, "backups")
}

// volumeMessageXML is the document of one message.
func volumeMessageXML(m *volumeMessage, l *look) []byte {
	dst := appendRoot(make([]byte, 0, 2048), "message", volumeNamespace)
	return appendEnd(appendVolumeMessageXML(dst, m, l), "message")
}

// appendVolumeMessageXML appends what stands behind the name in a message's start tag, up to its end tag. Cinder had no XML
// when it began to have messages: this is what it would have made of them.
func appendVolumeMessageXML(dst []byte, m *volumeMessage, l *look) []byte {
	dst = appendAttribute(dst, "id", m.id)
	dst = appendAttribute(dst, "event_id", m.event)
	dst = appendAttribute(dst, "message_level", m.level)
	dst = appendAttribute(dst, "user_message", m.text)
	dst = appendAttribute(dst, "request_id", m.request)
	dst = appendAttribute(dst, "resource_type", m.kind)
	dst = appendAttribute(dst, "resource_uuid", m.resource)
	dst = appendTimeAttribute(dst, "created_at", m.created, zoneless)
	dst = append(appendTimeAttribute(dst, "guaranteed_until", m.kept, zoneless), '>')
	return appendAtomLinks(dst, messagesPath, m.id, l)
}

// xml is the document of a page of messages.
func (p *messagePage) xml(l *look) []byte {
	dst := append(appendRoot(make([]byte, 0, 512+len(p.messages)*1024), "messages", volumeNamespace), '>')
	for i := range p.messages {
		dst = appendEnd(appendVolumeMessageXML(append(dst, "<message"...), &p.messages[i], l), "message")
	}
	if p.next != "" {
		dst = appendAtomLink(dst, "next", "", p.next)
	}
	return appendEnd(dst, "messages")
}

// appendKnownAttribute appends an attribute unless it is empty.
func appendKnownAttribute(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendAttribute(dst, name, value)
}
