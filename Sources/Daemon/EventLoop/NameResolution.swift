import Glibc
import Synchronization

/// Resolves a host's name on a thread of its own: getaddrinfo may block for many seconds while a resolver is away,
/// and the event loop has feedback to send meanwhile.
package final class NameResolution: Sendable {
  /// Why there is no address: one sentence for people.
  package struct Failure: Error, Sendable, Equatable {
    package var message: String
    init(_ message: String) { self.message = message }
  }

  /// Becomes readable when the outcome is there.
  package let fileDescriptor: Int32
  /// When the failure `timeout` is to be reported, on the monotonic clock in nanoseconds.
  package let deadline: Int64
  private let writeEnd: Int32
  private let name: String
  private let result = Mutex<Result<String, Failure>?>(nil)

  /// Nil when there is nothing to resolve: a numeric address, or none at all. `now` is in nanoseconds of the
  /// monotonic clock.
  package static func needed(for host: String?, now: Int64) throws(Failure) -> NameResolution? {
    guard let host, !isNumeric(host) else { return nil }
    return try NameResolution(host, now: now)
  }

  private init(_ name: String, now: Int64) throws(Failure) {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { throw Failure("no descriptor is left to resolve \(name)") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    self.name = name
    fileDescriptor = ends[0]
    writeEnd = ends[1]
    deadline = now + 5_000_000_000
    try start()
  }

  deinit {
    _ = close(fileDescriptor)
    _ = close(writeEnd)
  }

  package var timeout: Failure { Failure("the name \(name) was not resolved within 5 seconds") }

  /// The numeric address; nil while it is not known.
  package func outcome() throws(Failure) -> String? { try result.withLock { $0 }?.get() }

  private func start() throws(Failure) {
    let box = unsafe Unmanaged.passRetained(self)
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { context in
        guard let context = unsafe context else { return nil }
        unsafe Unmanaged<NameResolution>.fromOpaque(context).takeRetainedValue().resolve()
        return nil
      }, box.toOpaque())
    guard code == 0 else {
      unsafe box.release()
      throw Failure("no thread could be started to resolve \(name)")
    }
    _ = pthread_detach(thread)
  }

  private func resolve() {
    let found = NameResolution.lookUp(name)
    result.withLock { $0 = found }
    // The pipe is empty and open as long as this object lives.
    _ = unsafe write(writeEnd, [UInt8(1)], 1)
  }

  private static func isNumeric(_ host: String) -> Bool {
    var buffer = in6_addr()
    return unsafe inet_pton(AF_INET, host, &buffer) == 1 || inet_pton(AF_INET6, host, &buffer) == 1
  }

  private static func lookUp(_ name: String) -> Result<String, Failure> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(name, nil, &hints, &list)
    guard code == 0, let first = unsafe list else {
      return .failure(
        Failure("the name \(name) cannot be resolved: \(unsafe String(cString: gai_strerror(code)))"))
    }
    defer { unsafe freeaddrinfo(list) }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let named = unsafe getnameinfo(
      first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    guard named == 0 else { return .failure(Failure("the name \(name) has no usable address")) }
    return .success(String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
  }
}
