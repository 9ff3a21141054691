import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
  /// Lines for people and simple probes.
  static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
    Response(status, contentType: "text/plain; charset=utf-8", text + "\n")
  }

  /// A JSON document with snake-case names in alphabetical order.
  static func json(_ status: HTTPResponse.Status, _ value: some Encodable) -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    do {
      let body = String(decoding: try encoder.encode(value), as: UTF8.self)
      return Response(status, contentType: "application/json", body + "\n")
    } catch {
      return .text(.internalServerError, "the answer cannot be written as JSON: \(error)")
    }
  }

  /// Nothing here may be kept by a cache: it is about this moment.
  init(_ status: HTTPResponse.Status, contentType: String, _ body: String) {
    let headers: HTTPFields = [
      .contentType: contentType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
    ]
    self.init(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
  }
}
