/// A Lua script of `Scripts`, run by its digest, and sent in full only where Redis does not know it (yet, or any
/// more: a restart, a failover and SCRIPT FLUSH forget scripts).
struct Script: Sendable {
  let text: [UInt8]
  /// SHA-1 of `text` in hexadecimal, which is how Redis names a script. A wrong one costs the full text on every
  /// call and nothing else; a unit test compares.
  let digest: [UInt8]

  static let get = Script(PackageResources.get_lua, "d0b5fac44f2d15210e0a2bddae9c6aef54821111")
  static let fill = Script(PackageResources.fill_lua, "23fa6a01e88d653f4eb6365f1d5b42c5ae39ab51")
  static let release = Script(PackageResources.release_lua, "231d989bd59b6770f8b77649420919acc211cbe4")

  private init(_ text: [UInt8], _ digest: String) {
    self.text = text
    self.digest = Array(digest.utf8)
  }

  /// Runs the script; the answer may be an error reply.
  func run(keys: [CacheKey], arguments: [[UInt8]], on redis: any RedisTransport) async throws -> RESPReply {
    let rest = [Array(String(keys.count).utf8)] + keys.map(\.bytes) + arguments
    let reply = try await redis.send([Array("EVALSHA".utf8), digest] + rest)
    guard case .error(let message) = reply, message.hasPrefix("NOSCRIPT") else { return reply }
    return try await redis.send([Array("EVAL".utf8), text] + rest)
  }
}
