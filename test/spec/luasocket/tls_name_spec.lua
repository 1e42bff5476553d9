-- The host name in a certificate.

describe('the name in a certificate', function()
    local identity = require 'socketloop.identity'

    local function matches(pattern, host)
        return identity.matches(pattern, host)
    end

    it('is that of the host, whatever its case', function()
        assert.is_true(matches('a.test', 'A.Test'))
        assert.is_true(matches('a.test', 'a.test.'))
        assert.is_false(matches('a.test', 'b.test'))
        assert.is_false(matches('a.test', 'xa.test'))
        assert.is_false(matches('a.test\0.b', 'a.test'))
    end)

    it('has a wildcard for one whole label in front only', function()
        assert.is_true(matches('*.a.test', 'x.a.test'))
        assert.is_false(matches('*.a.test', 'a.test'))
        assert.is_false(matches('*.a.test', 'x.y.a.test'))
        assert.is_false(matches('*.a.test', '.a.test'))
        assert.is_false(matches('*.test', 'x.test'))
        assert.is_false(matches('*', 'test'))
        assert.is_false(matches('x*.a.test', 'xy.a.test'))
        assert.is_false(matches('x.*.test', 'x.a.test'))
        assert.is_false(matches('*.*.test', 'x.a.test'))
        assert.is_false(matches('*.a.test', '*.a.test'))
    end)

    it('is not an address', function()
        assert.equal('127.0.0.1', identity.address '127.0.0.1')
        assert.equal('0:0:0:0:0:0:0:1', identity.address '::1')
        assert.equal('0:0:0:0:0:0:0:1', identity.address '[0:0::1]')
        assert.equal('fe80:0:0:0:0:0:0:1', identity.address 'FE80::1%eth0')
        assert.equal('0:0:0:0:0:ffff:102:304',
            identity.address '::ffff:1.2.3.4')
        for _, host in ipairs {
            'a.test', '1.2.3', '1.2.3.4.5', '1.2.3.256', ':', '1:2', '1::2::3',
            '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '', '010.0.0.1', '1.2.3.04',
            '::ffff:01.2.3.4',
        } do
            assert.is_nil(identity.address(host), host)
        end
    end)
end)
