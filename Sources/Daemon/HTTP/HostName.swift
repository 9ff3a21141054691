import Glibc

/// What a host is called.
enum HostName {
  /// `localhost` and what ends with `.localhost` never leave the machine. Source: RFC 6761 section 6.3.
  static func isLoopback(_ host: String) -> Bool {
    isLocalhost(host) || host == "::1" || isIPv4(host) && host.hasPrefix("127.")
  }

  static func isLocalhost(_ host: String) -> Bool {
    let name = host.lowercased()
    let absolute = name.hasSuffix(".") ? name.dropLast() : name[...]
    return absolute == "localhost" || absolute.hasSuffix(".localhost")
  }

  static func isAddress(_ host: String) -> Bool { isIPv4(host) || isIPv6(host) }

  private static func isIPv4(_ host: String) -> Bool {
    var address = in_addr()
    return unsafe inet_pton(AF_INET, host, &address) == 1
  }

  private static func isIPv6(_ host: String) -> Bool {
    var address = in6_addr()
    return unsafe inet_pton(AF_INET6, host, &address) == 1
  }
}
