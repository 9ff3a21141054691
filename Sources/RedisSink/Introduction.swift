/// What is sent first on a connection, all at once.
///
/// Source: Redis manual, AUTH, SELECT, CLIENT SETNAME.
enum Introduction {
  case login, select, name

  static func steps(for address: RedisAddress) -> [Introduction] {
    var steps: [Introduction] = []
    if address.password != nil { steps.append(.login) }
    if address.database != 0 { steps.append(.select) }
    steps.append(.name)
    return steps
  }

  func command(_ address: RedisAddress) -> [UInt8] {
    switch self {
    case .login: respCommand(["AUTH"] + [address.username, address.password].compactMap { $0 })
    case .select: respCommand(["SELECT", String(address.database)])
    case .name: respCommand(["CLIENT", "SETNAME", "cdcd"])
    }
  }

  /// What an error reply means. Only the name, which is for people, may be refused.
  func failure(_ text: [UInt8], _ address: RedisAddress) -> RedisFailure? {
    let text = String(decoding: text, as: UTF8.self)
    switch self {
    // Redis repeats the arguments of commands it does not know: no more than the error's code is safe to show.
    case .login:
      let code = text.prefix { $0 != " " }
      return RedisFailure(
        "the login was refused (\(code)): check the user and the password in redis.url",
        isRefusal: ["WRONGPASS", "NOPERM"].contains(code))
    case .select:
      // Redis also refuses while it loads its data.
      return RedisFailure(
        "database \(address.database) was refused: " + text,
        isRefusal: text.hasPrefix("ERR") || text.hasPrefix("NOPERM"))
    case .name: return nil
    }
  }
}

/// A command as an array of bulk strings.
///
/// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
package func respCommand(_ words: [String]) -> [UInt8] {
  var bytes = Array("*\(words.count)\r\n".utf8)
  for word in words {
    bytes += Array("$\(word.utf8.count)\r\n".utf8)
    bytes += Array(word.utf8)
    bytes += [0x0D, 0x0A]
  }
  return bytes
}
