/// The parameters of `/why`.
struct WhyRequest: Equatable {
  /// Any bytes but none.
  var key: [UInt8]

  /// Takes the query as it stands in the request: `%` and two hexadecimal digits are a byte, so that keys need not be UTF-8,
  /// and `+` is a plus. Throws a sentence that says what was there and what was expected.
  init(query: String?) throws(WhyRequestError) {
    var key: [UInt8]?
    for parameter in (query ?? "").split(separator: "&") {
      let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts[0] == "key" else {
        throw WhyRequestError("unknown parameter '\(parts[0])'; there is key (an & in a key is %26)")
      }
      guard key == nil else { throw WhyRequestError("the parameter 'key' is there twice, expected it once") }
      key = try WhyRequest.bytes(of: parts.count == 2 ? parts[1] : "")
    }
    guard let key, !key.isEmpty else {
      throw WhyRequestError("key is missing, expected a key of the cache like /why?key=user:7")
    }
    self.key = key
  }

  /// Source: RFC 3986, section 2.1 "Percent-Encoding".
  private static func bytes(of text: Substring) throws(WhyRequestError) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      // UInt8 would take a sign as well.
      guard digits.count == 2, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
        let value = UInt8(Substring(digits), radix: 16)
      else {
        throw WhyRequestError("key is '\(text)', expected two hexadecimal digits behind each %, or %25")
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return bytes
  }
}

/// What is wrong with a request for `/why`.
struct WhyRequestError: Error, Equatable {
  let message: String

  init(_ message: String) { self.message = message }
}
