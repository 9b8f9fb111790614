-- This server's own API has one scope more.
UPDATE resource SET scope = array_append(scope, 'evaluate')
  WHERE audience = (SELECT issuer || '/v1' FROM installation) AND NOT 'evaluate' = ANY (scope);
