// The clients and peers that faultd is tried with. They are no part of the product, so they have a module of their own.
module faultd/peers

go 1.26.0

require github.com/gophercloud/gophercloud/v2 v2.15.0

require (
	github.com/getkin/kin-openapi v0.152.0 // indirect
	github.com/gophercloud/gophercloud v1.14.1 // indirect
)
