import Foundation

/// What `/status` says of the first open flush.
struct FlushProgress: Decodable {
  var rule: String
  var reason: String
  var phase: String
  var scannedKeys: Int
  var deletedKeys: Int
  var waitsFor: String?

  private struct Status: Decodable {
    var flushes: [FlushProgress]
  }

  /// Nil while none is open.
  static func of(_ cdcd: CDCDProcess) throws -> FlushProgress? {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Status.self, from: Data(cdcd.get("/status").body.utf8)).flushes.first
  }
}
