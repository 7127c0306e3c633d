//nolint:goconst // the words of OpenAPI are its own
package service

import (
	_ "embed" // the generated description
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// swagger is the description that is generated from the proto files, in OpenAPI 2.
//
//go:embed openapi.swagger.json
var swagger []byte

// object is a JSON object.
type object = map[string]any

// openAPI turns the generated description into OpenAPI 3, which can tell text from JSON bodies, and adds what the proto
// files can't say: plain-text scripts, parameters of scripts, streams, and the codes of errors. Nothing is kept by hand
// that the generated description has.
func openAPI() ([]byte, error) {
	var in object
	if err := json.Unmarshal(swagger, &in); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	paths := object{}
	for path, item := range asObject(in["paths"]) {
		methods := object{}
		for method, operation := range asObject(item) {
			methods[method] = operation3(asObject(operation))
		}
		paths[path] = methods
	}
	addForms(paths)
	out := object{
		"openapi": "3.0.3",
		"info": object{
			"title": "Quadrat", "version": "v1",
			"description": "Deploy sampling queries and read their results. Errors are JSON {code, message, details}.",
		},
		"paths": paths,
		"components": object{
			"schemas":         definitions(asObject(in["definitions"])),
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}},
		},
		"security": []any{object{}, object{"bearer": []any{}}},
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return []byte(strings.ReplaceAll(string(text), "#/definitions/", "#/components/schemas/")), nil
}

func asObject(v any) object {
	o, _ := v.(object)
	return o
}

// definitions adds the two details that errors carry, which no call names.
func definitions(in object) object {
	text, whole := object{"type": "string"}, object{"type": "integer", "format": "int64"}
	in["v1ScriptError"] = object{"type": "object", "properties": object{
		"@type": text, "line": whole, "column": whole, "message": text, "hint": text,
	}}
	in["v1Infeasible"] = object{"type": "object", "properties": object{
		"@type": text, "reason": text, "best_margin": object{"type": "number", "format": "double"}, "best_panel": whole,
		"options": object{"type": "array", "items": text},
	}}
	return in
}

// operation3 turns an operation of OpenAPI 2 into one of OpenAPI 3.
func operation3(in object) object {
	out := object{"responses": object{}}
	for _, name := range []string{"summary", "description", "operationId", "tags"} {
		if v, ok := in[name]; ok {
			out[name] = v
		}
	}
	var parameters []any
	list, _ := in["parameters"].([]any)
	for _, p := range list {
		parameter := asObject(p)
		if parameter["in"] == "body" {
			out["requestBody"] = object{"required": true, "content": content(parameter["schema"], mediaJSON)}
			continue
		}
		parameters = append(parameters, parameter3(parameter))
	}
	if parameters != nil {
		out["parameters"] = parameters
	}
	responses := asObject(out["responses"])
	for code, r := range asObject(in["responses"]) {
		response := asObject(r)
		responses[code] = object{"description": response["description"], "content": content(response["schema"], mediaJSON)}
	}
	return out
}

func parameter3(in object) object {
	schema := object{}
	out := object{"schema": schema}
	for name, v := range in {
		switch name {
		case "name", "in", "description", "required":
			out[name] = v
		case "collectionFormat":
		default:
			schema[name] = v
		}
	}
	return out
}

func content(schema any, media ...string) object {
	out := object{}
	for _, m := range media {
		out[m] = object{"schema": schema}
	}
	return out
}

// addForms adds what this package speaks beyond the generated calls.
func addForms(paths object) {
	text := object{"type": "string"}
	put, explain := asObject(asObject(paths["/kappa"])["put"]), asObject(asObject(paths["/explain"])["post"])
	for _, operation := range []object{put, explain} {
		asObject(asObject(operation["requestBody"])["content"])[mediaText] = object{"schema": text}
		operation["parameters"] = []any{object{
			"name": "params", "in": "query", "style": "form", "explode": true,
			"description": "Values of the script's $parameters, each under its own name: ?n=400",
			"schema":      object{"type": "object", "additionalProperties": object{"type": "number"}},
		}}
		addErrors(operation, 400, 401, 413, 422)
	}
	query := asObject(asObject(paths["/query"])["post"])
	asObject(asObject(query["requestBody"])["content"])[mediaText] = object{"schema": text}
	asObject(asObject(asObject(query["responses"])["200"])["content"])[mediaEvents] = object{
		"schema": object{"type": "string", "description": "Events \"early\", each a whole answer from a growing part of the reports, and at last one \"exact\". " +
			"The early intervals of one result hold all at once with the confidence."},
	}
	addErrors(query, 400, 401, 404, 413, 422)
	created := object{
		"description": "Deployed. Location names the kappa.",
		"headers":     object{"Location": object{"schema": text}},
		"content":     asObject(asObject(put["responses"])["200"])["content"],
	}
	asObject(put["responses"])["201"] = created
	addErrors(put, 409, 429)
	kappa := asObject(paths["/kappa/{ref}"])
	remove := asObject(kappa["delete"])
	delete(asObject(remove["responses"]), "200")
	asObject(remove["responses"])["204"] = object{"description": "Stopped and deleted; its results stay until retention ends."}
	addErrors(remove, 401, 404)
	addErrors(asObject(kappa["post"]), 400, 401, 404, 422)
	get := asObject(kappa["get"])
	binary := object{"type": "string", "format": "binary"}
	forms := asObject(asObject(asObject(get["responses"])["200"])["content"])
	forms[mediaEvents], forms[mediaCSV] = object{"schema": text}, object{"schema": text}
	forms[mediaArrow] = object{"schema": binary}
	parameters, _ := get["parameters"].([]any)
	get["parameters"] = append(parameters, object{
		"name": "Last-Event-ID", "in": "header", "schema": text,
		"description": "With Accept: text/event-stream, go on behind this event.",
	})
	addErrors(get, 400, 401, 404)
	addErrors(asObject(asObject(paths["/dead"])["get"]), 400, 401)
	addErrors(asObject(asObject(paths["/dead"])["delete"]), 400, 401)
	addErrors(asObject(asObject(paths["/dead/{sequence}"])["get"]), 400, 401, 404)
	addErrors(asObject(asObject(paths["/dead/replay"])["post"]), 400, 401)
	paths["/kappa/{ref}/export"] = object{"get": exportOperation(binary)}
	for path, media := range map[string]string{
		"/healthz": mediaText, "/readyz": mediaText, "/metrics": mediaText, "/openapi.json": mediaJSON, "/": "text/html",
	} {
		paths[path] = object{"get": object{"responses": object{"200": object{
			"description": "A successful response.", "content": content(object{}, media),
		}}}}
	}
}

// exportOperation describes GET /kappa/{ref}/export.
func exportOperation(binary object) object {
	text := object{"type": "string"}
	when := object{"type": "string", "format": "date-time"}
	operation := object{
		"summary": "Stored reports, results or strata as one Arrow IPC stream.", "operationId": "ExportKappa",
		"parameters": []any{
			object{"name": "ref", "in": "path", "required": true, "schema": text},
			object{"name": "what", "in": "query", "required": true, "schema": object{"type": "string", "enum": []any{"reports", "results", "strata"}}},
			object{"name": "since", "in": "query", "schema": when},
			object{"name": "until", "in": "query", "schema": when},
		},
		"responses": object{"200": object{"description": "The rows.", "content": content(binary, mediaArrow)}},
	}
	addErrors(operation, 400, 401, 404)
	return operation
}

// addErrors names the codes that an operation answers errors with.
func addErrors(operation object, codes ...int) {
	what := map[int]string{
		400: "The request or the script is broken; a ScriptError tells line, column and hint.",
		401: "A bearer token is needed.", 404: "There is none.", 409: "The name belongs to another script.",
		413: "The body is too large.", 422: "The design can't be reached or run; an Infeasible tells the best that can.",
		429: "A bound of the server is reached.",
	}
	for _, code := range codes {
		asObject(operation["responses"])[strconv.Itoa(code)] = object{
			"description": what[code], "content": content(object{"$ref": "#/definitions/googleRpcStatus"}, mediaJSON),
		}
	}
}
