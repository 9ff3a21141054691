import FoundationEssentials
import HTTPTypes
import Hummingbird

/// Who may read the pages of one address.
struct AccessControl: Sendable {
  private let token: AccessToken?
  private let requiresLocalHost: Bool

  /// Without a token everyone who comes to the address may read; a loopback one is guarded against foreign web pages.
  init(to address: ListenAddress, token: AccessToken?) {
    self.token = token
    if case .tcp = address {
      requiresLocalHost = token == nil && address.isLocal
    } else {
      requiresLocalHost = false
    }
  }

  /// Whether whoever asks knows the token, or there is none.
  func isTrusted(_ request: Request) -> Bool {
    guard let token else { return true }
    guard let credentials = request.headers[.authorization] else { return false }
    let parts = credentials.split(separator: " ", maxSplits: 1)
    guard parts.count == 2 else { return false }
    switch parts[0].lowercased() {
    case "bearer": return token.matches(parts[1])
    // A browser asks for a user and a password, also before an EventSource, which can send no header of its own.
    case "basic": return password(parts[1]).map { token.matches($0) } ?? false
    default: return false
    }
  }

  private func password(_ credentials: Substring) -> String? {
    guard let bytes = Data(base64Encoded: String(credentials)),
      let text = String(validating: bytes, as: UTF8.self), let colon = text.firstIndex(of: ":")
    else { return nil }
    return String(text[text.index(after: colon)...])
  }

  static func unauthorized() -> Response {
    var response = Response.text(
      .unauthorized,
      "the token is missing or wrong: send 'Authorization: Bearer ...' with http.token of the rules file; "
        + "in a browser any user will do, with the token as its password")
    response.headers.append(HTTPField(name: .wwwAuthenticate, value: #"Basic realm="cdcd", charset="UTF-8""#))
    response.headers.append(HTTPField(name: .wwwAuthenticate, value: #"Bearer realm="cdcd""#))
    return response
  }

  /// The answer for a request that came here by a name which is not this machine's; nil for any other.
  ///
  /// A web page of somebody else may let its own name point to 127.0.0.1 (DNS rebinding); the browser then takes what it
  /// reads here for that page's own. Such a request has the foreign name in `Host`, which no page can change.
  func misdirection(of request: Request) -> Response? {
    guard requiresLocalHost, let authority = request.head.authority else { return nil }
    let host = Self.host(of: authority)
    guard !HostName.isAddress(host), !HostName.isLocalhost(host) else { return nil }
    return .text(
      .misdirectedRequest,
      "this address is for its own machine, and the request is for a name: ask for 127.0.0.1 or localhost, "
        + "or set http.token in the rules file")
  }

  private static func host(of authority: String) -> String {
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      return String(authority[authority.index(after: authority.startIndex)..<end])
    }
    return String(authority.prefix { $0 != ":" })
  }
}
