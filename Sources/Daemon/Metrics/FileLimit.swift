import Glibc

/// How many files and sockets this process may have open.
///
/// Source: getrlimit(2), RLIMIT_NOFILE.
enum FileLimit {
  /// The limit in force.
  static var current: UInt64 { limits.map { UInt64($0.rlim_cur) } ?? 0 }

  /// Raises the limit as far as the system allows, so that waiting HTTP clients cannot use up what the
  /// connections to PostgreSQL and Redis need.
  static func raise() {
    guard var limits else { return }
    let wanted = min(limits.rlim_max, 65_536)
    guard limits.rlim_cur < wanted else { return }
    limits.rlim_cur = wanted
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
  }

  private static var limits: rlimit? {
    var limits = rlimit()
    let result = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
    return result == 0 ? limits : nil
  }
}
