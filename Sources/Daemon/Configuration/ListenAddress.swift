extension Configuration.HTTP {
  /// Reads `host:port`, `[::1]:9810` or `:9810`, which is every address of the machine. Nil for anything else.
  package init?(listen text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits) else {
      return nil
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
      guard host.contains(":") else { return nil }
    } else if host.contains(where: { $0 == ":" || $0 == "[" || $0 == "]" || $0 == "/" || $0.isWhitespace }) {
      return nil
    }
    self.init()
    self.host = host.isEmpty ? "0.0.0.0" : String(host)
    self.port = Int(port)
  }
}
