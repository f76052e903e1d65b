package api

// RenderComputeFault renders a fault in JSON and in XML, for tests outside of the package.
func RenderComputeFault(element string, code int, retryAt, message, details string) (inJSON, inXML []byte) {
	f := xmlFault{element: element, namespace: computeNamespace, code: code, retryAt: retryAt, message: message, details: details}
	return append(f.appendJSON([]byte{'{'}), '}'), f.append([]byte(xmlDeclaration))
}
