import LeaseKeys
import Testing

@testable import Invalidation

@Suite struct LeaseKeyTests {
  @Test(arguments: [
    ("user:1", "cdcd:l:{user:1}"), ("cart:{7}", "cdcd:l:cart:{7}"), ("a{}b", "cdcd:l:{a{}b}"),
    ("a{b", "cdcd:l:{a{b}"), ("a}b{c}", "cdcd:l:a}b{c}"), ("", "cdcd:l:{}"),
  ]) func followsTheHashTag(_ key: String, _ lease: String) {
    #expect(LeaseKey.name(of: Array(key.utf8)) == Array(lease.utf8))
    var writer = CommandWriter()
    let limit = key.utf8.count + LeaseKey.overhead + OutputSpan<UInt8>.argumentOverhead
    writer.write(atMost: limit) { LeaseKey.write(Array(key.utf8).span, to: &$0) }
    #expect(String(decoding: writer.bytes, as: UTF8.self) == "$\(lease.utf8.count)\r\n\(lease)\r\n")
  }
}
