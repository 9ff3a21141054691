/// Why a Redis connection could not be made or broke: one sentence for people, without secrets.
package struct RedisFailure: Error, Sendable, Equatable {
  package var message: String
  /// Redis has answered, and says no to this user, password or database.
  package var isRefusal = false

  package init(_ message: String, isRefusal: Bool = false) {
    self.message = message
    self.isRefusal = isRefusal
  }

  package static let loginMissing = RedisFailure(
    "it wants a login: put the password into redis.url, as redis://:password@host", isRefusal: true)
}
